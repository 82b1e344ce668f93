import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface Hierarchy {
  readonly mountPoint: string;
  readonly type: string;
  readonly options: string;
  readonly own: string;
}

interface Summary {
  readonly counts: Readonly<Record<string, number>>;
  readonly failures: readonly object[];
  readonly skipped: readonly object[];
}

/** What the scripts export; they are JavaScript. */
interface Scripts {
  readonly freshRootOptions: (words: readonly string[]) => {
    readonly help?: boolean;
    readonly releases: readonly string[];
    readonly commands: readonly string[];
    readonly ci: boolean;
  };
  readonly usage: string;
  readonly hierarchies: (cgroup: string, mountinfo: string) => readonly Hierarchy[];
  readonly ownCgroup: (hierarchy: Hierarchy, name: string, onlyV2: boolean) => string;
  readonly urisIn: (printed: string) => { readonly main: string; readonly security: string };
  readonly sourcesFor: (release: string, uris: object) => readonly string[];
  readonly summary: (events: AsyncIterable<object>, root: string) => Promise<Summary>;
}

async function loadScripts(): Promise<Scripts> {
  const names = ['fresh-root-options', 'fresh-root-cgroups', 'apt-sources', 'test-reporter'];
  const modules = names.map(
    (name) => import(`${repository}scripts/${name}.mjs`) as Promise<Partial<Scripts>>,
  );
  return Object.assign({}, ...(await Promise.all(modules))) as Scripts;
}

const scripts = await loadScripts();

describe('the options of npm run fresh-root', () => {
  it('name releases, and the README’s two commands are the default', () => {
    const read = scripts.freshRootOptions(['bookworm', 'trixie', 'bookworm']);
    assert.deepEqual(read.releases, ['bookworm', 'trixie']);
    assert.deepEqual(read.commands, ['npm start', 'npm test']);
    assert.equal(read.ci, true);
    assert.deepEqual(scripts.freshRootOptions(['trixie', '--command', 'a b', '--command=c']).commands, [
      'a b',
      'c',
    ]);
    assert.equal(scripts.freshRootOptions(['--help']).help, true);
    assert.match(scripts.usage, /^Example: npm run --silent fresh-root -- bookworm/m);
  });

  it('are refused by their name', () => {
    for (const [words, error] of [
      [[], /no release: name one of bookworm, trixie/],
      [['sid'], /^Error: sid: unknown release; known are bookworm, trixie$/],
      [['trixie', '--format', 'xml'], /--format xml: unknown format/],
      [['trixie', '--node', 'latest'], /--node latest: a release is one to three numbers/],
      [['trixie', '--command='], /--command: its value is empty/],
    ] as const)
      assert.throws(() => scripts.freshRootOptions(words), error);
  });
});

describe('the cgroups of a fresh root', () => {
  const mount = (point: string, type: string, options: string, root = '/'): string =>
    `35 24 0:30 ${root} ${point} rw,relatime shared:9 - ${type} cgroup rw,${options}\n`;

  it('are below this process’ own, in each hierarchy of v1 and beside them v2', () => {
    const found = scripts.hierarchies(
      '4:memory:/box\n3:cpu,cpuacct:/\n1:name=systemd:/unit\n0::/unit\n',
      mount('/sys/fs/cgroup/memory', 'cgroup', 'memory') +
        mount('/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'cpu,cpuacct') +
        mount('/sys/fs/cgroup/systemd', 'cgroup', 'xattr,name=systemd') +
        mount('/sys/fs/cgroup/unified', 'cgroup2', 'nsdelegate') +
        '24 1 254:0 / / rw - ext4 /dev/vda rw\n',
    );
    assert.deepEqual(
      found.map(({ options, own }) => `${options} ${own}`),
      ['memory /box', 'cpu,cpuacct /', 'none,name=systemd /unit', ' /unit'],
    );
    assert.deepEqual(
      found.map((one) => scripts.ownCgroup(one, 'x', false)),
      [
        '/sys/fs/cgroup/memory/box/x',
        '/sys/fs/cgroup/cpu,cpuacct/x',
        '/sys/fs/cgroup/systemd/unit/x',
        '/sys/fs/cgroup/unified/unit/x',
      ],
    );
  });

  it('is one at the top where there is v2 alone', () => {
    const [only] = scripts.hierarchies(
      '0::/user.slice/s\n',
      mount('/sys/fs/cgroup', 'cgroup2', 'nsdelegate'),
    );
    assert.ok(only !== undefined);
    assert.equal(scripts.ownCgroup(only, 'x', true), '/sys/fs/cgroup/x');
  });
});

describe('the sources of apt in a fresh root', () => {
  it('are this machine’s mirrors, with the release’s name', () => {
    const uris = scripts.urisIn(
      'Debian|http://mirror/debian/\nDebian-Security|http://mirror/security/\nmine|file:/x/\n',
    );
    assert.deepEqual(scripts.sourcesFor('bookworm', uris), [
      'deb http://mirror/debian/ bookworm main',
      'deb http://mirror/debian/ bookworm-updates main',
      'deb http://mirror/security/ bookworm-security main',
    ]);
    assert.match(scripts.urisIn('').main, /^http:\/\/deb\.debian\.org/);
  });
});

describe('the report of a test run', () => {
  async function* events(): AsyncGenerator<object> {
    const at = { file: '/r/a.test.js' };
    const bad = (failureType: string): object => ({ error: { failureType, cause: new Error('bad\nmore') } });
    yield { type: 'test:start', data: { ...at, nesting: 0, name: 'suite' } };
    yield { type: 'test:start', data: { ...at, nesting: 1, name: 'x' } };
    yield { type: 'test:pass', data: { ...at, nesting: 1, name: 'x', skip: 'needs y', details: {} } };
    yield { type: 'test:start', data: { ...at, nesting: 1, name: 'z' } };
    yield { type: 'test:fail', data: { ...at, nesting: 1, name: 'z', details: bad('testCodeFailure') } };
    yield { type: 'test:fail', data: { ...at, nesting: 0, name: 'suite', details: bad('subtestsFailed') } };
    yield { type: 'test:diagnostic', data: { nesting: 0, message: 'pass 3' } };
    yield { type: 'test:diagnostic', data: { nesting: 0, message: 'duration_ms 5' } };
  }

  it('has the counts, each failure once, and what was skipped and why', async () => {
    assert.deepEqual(await scripts.summary(events(), '/r'), {
      counts: { pass: 3 },
      failures: [{ file: 'a.test.js', name: 'suite › z', message: 'bad' }],
      skipped: [{ file: 'a.test.js', name: 'suite › x', reason: 'needs y' }],
    });
  });
});
