import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { candidatesIn } from '@kata-agent/setup/debian-packages';
import { parseRegistryError, type RegistryError } from '@kata-agent/setup/registry';
import { repository } from '../harness/repository.js';
import { busyFor, FakeRegistry } from '../harness/fake-registry.js';

function fault(url: string, reason: string): RegistryError {
  return { url, reason };
}

const directory = mkdtempSync(join(tmpdir(), 'kata-registry-'));
after(() => rmSync(directory, { recursive: true }));

let registry: FakeRegistry;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a JavaScript module in a separate process: it blocks without an event loop. */
async function runModule(text: string, env: NodeJS.ProcessEnv, cwd = directory): Promise<Ended> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

/** An npm package with one file. */
function npmPackage(name: string, file: string, content: string): Buffer {
  const inside = join(directory, 'pack', name, 'package');
  mkdirSync(join(inside, file, '..'), { recursive: true });
  writeFileSync(join(inside, 'package.json'), JSON.stringify({ name, version: '1.0.0' }));
  writeFileSync(join(inside, file), content);
  return execFileSync('tar', ['-cz', '-C', join(inside, '..'), 'package']);
}

/** The Debian package of a directory. */
function packed(inside: string): Buffer {
  execFileSync('dpkg-deb', ['--build', '--root-owner-group', inside, `${inside}.deb`], { stdio: 'ignore' });
  return readFileSync(`${inside}.deb`);
}

describe('npm’s registry, if it does not respond', () => {
  afterEach(async () => registry.stop());
  const checkout = join(directory, 'checkout');
  const packages = {
    first: npmPackage('first', 'index.js', ''),
    // The tools for compiling.
    typescript: npmPackage('typescript', 'bin/tsc', ''),
  };
  const integrity = (name: keyof typeof packages): string =>
    `sha512-${createHash('sha512').update(packages[name]).digest('base64')}`;

  before(() => {
    for (const name of ['scripts', 'image'])
      cpSync(join(repository, name), join(checkout, name), { recursive: true });
    const dependencies = { first: '1.0.0', typescript: '1.0.0' };
    const own = { name: 'checkout', version: '1.0.0', dependencies };
    const locked = Object.keys(dependencies).map((name) => [
      `node_modules/${name}`,
      { version: '1.0.0', integrity: integrity(name as keyof typeof packages) },
    ]);
    writeFileSync(join(checkout, 'package.json'), JSON.stringify(own));
    writeFileSync(
      join(checkout, 'package-lock.json'),
      JSON.stringify({ ...own, lockfileVersion: 3, packages: { '': own, ...Object.fromEntries(locked) } }),
    );
  });

  const start = async (): Promise<void> => {
    rmSync(join(directory, 'npm-cache'), { recursive: true, force: true });
    rmSync(join(checkout, 'node_modules'), { recursive: true, force: true });
    registry = await FakeRegistry.start((origin) =>
      Object.fromEntries(
        Object.entries(packages).flatMap(([name, tarball]) => {
          const dist = {
            tarball: `${origin}/${name}.tgz`,
            integrity: integrity(name as keyof typeof packages),
          };
          const versions = { '1.0.0': { name, version: '1.0.0', dist } };
          return [
            [`/${name}`, JSON.stringify({ name, versions, 'dist-tags': { latest: '1.0.0' } })],
            [`/${name}.tgz`, tarball],
          ];
        }),
      ),
    );
  };

  /** Runs the setup, with pauses of 30 ms. */
  const setUp = (): Promise<Ended> =>
    runModule(
      `import { bootstrap } from ${JSON.stringify(join(checkout, 'scripts/bootstrap.mjs'))};
       bootstrap('demo', [0.01, 0.01, 0.01]);`,
      {
        npm_config_registry: registry.origin,
        npm_config_cache: join(directory, 'npm-cache'),
        npm_config_fetch_retries: '0',
        npm_config_fetch_timeout: '2000',
      },
    );
  const installed = (): boolean => existsSync(join(checkout, 'node_modules/first/package.json'));

  it('is retried until it answers', async () => {
    await start();
    registry.answer = busyFor(2, '/first.tgz');
    const { code, output } = await setUp();
    assert.equal(code, 0, output);
    assert.match(output, /\/first\.tgz: 503 Service Unavailable: try 3 of 4 in 0\.01 s/);
    assert.ok(installed());
  });

  it('is named with the step and a fix; the next run continues from there', async () => {
    await start();
    registry.answer = (path) => (path === '/typescript.tgz' ? 'busy' : 'serve');
    const failed = await setUp();
    assert.equal(failed.code, 1, failed.output);
    assert.match(failed.output, /try 4 of 4/);
    assert.match(
      failed.output,
      /installing npm packages: http:\S+\/typescript\.tgz does not respond: 503[^]*help: check the network and `npm config get registry`/,
    );
    assert.ok(!installed());
    const before = registry.served.length;
    assert.ok(registry.served.includes('/first.tgz'));

    registry.answer = () => 'serve';
    const { code, output } = await setUp();
    assert.equal(code, 0, output);
    assert.ok(installed());
    assert.deepEqual(registry.served.slice(before), ['/typescript.tgz']);
  });

  it('is not awaited forever if it accepts connections and is silent', async () => {
    await start();
    registry.answer = () => 'silent';
    const { code, output } = await setUp();
    assert.equal(code, 1, output);
    assert.match(output, /does not respond: timeout/);
  });
});

const withoutApt = ['/usr/bin/apt-get', '/usr/bin/dpkg-deb'].every(existsSync)
  ? process.getuid?.() === 0
    ? false
    : 'only root installs packages'
  : 'no apt-get and dpkg-deb: not a Debian machine';

describe('Debian’s mirror, if it does not respond', { skip: withoutApt }, () => {
  afterEach(async () => registry.stop());
  const apt = join(directory, 'apt');
  const pages: Record<string, Buffer | string> = {};

  before(() => {
    const packages = ['kata-test-a', 'kata-test-b'].map((name) => debianPackage(name)).join('\n');
    const digest = createHash('sha256').update(packages).digest('hex');
    pages['/./Packages'] = packages;
    pages['/./Release'] = `SHA256:\n ${digest} ${Buffer.byteLength(packages)} Packages\n`;
  });

  /** Its entry in the index; the file is among the pages. */
  function debianPackage(name: string): string {
    const inside = join(directory, 'deb', name);
    mkdirSync(join(inside, 'DEBIAN'), { recursive: true });
    writeFileSync(join(inside, name), '');
    const control = [
      `Package: ${name}`,
      'Version: 1',
      'Architecture: all',
      'Maintainer: nobody',
      'Description: none',
    ].join('\n');
    writeFileSync(join(inside, 'DEBIAN/control'), `${control}\n`);
    const file = packed(inside);
    pages[`/./${name}.deb`] = file;
    const digest = createHash('sha256').update(file).digest('hex');
    return `${control}\nFilename: ./${name}.deb\nSize: ${file.length}\nSHA256: ${digest}\n`;
  }

  /** A mirror, and a root with only apt and dpkg: nothing is installed on the host. */
  const start = async (): Promise<void> => {
    registry = await FakeRegistry.start(() => pages);
    rmSync(apt, { recursive: true, force: true });
    for (const name of [
      'state/lists/partial',
      'cache/archives/partial',
      'etc',
      'log',
      'root/var/lib/dpkg/info',
    ])
      mkdirSync(join(apt, name), { recursive: true });
    mkdirSync(join(apt, 'root/var/lib/dpkg/updates'));
    writeFileSync(join(apt, 'root/var/lib/dpkg/status'), '');
    writeFileSync(join(apt, 'sources.list'), `deb [trusted=yes] ${registry.origin}/ ./\n`);
    const settings = [
      `Dir::State "${apt}/state"`,
      `Dir::State::status "${apt}/root/var/lib/dpkg/status"`,
      `Dir::Cache "${apt}/cache"`,
      `Dir::Log "${apt}/log"`,
      `Dir::Etc::sourcelist "${apt}/sources.list"`,
      `Dir::Etc::sourceparts "${apt}/etc"`,
      `Dir::Etc::preferencesparts "${apt}/etc"`,
      `Dir::Etc::preferences "${apt}/no-preferences"`,
      `DPkg::Options:: "--root=${apt}/root"`,
      'APT::Sandbox::User "root"',
      '#clear DPkg::Pre-Install-Pkgs',
      '#clear DPkg::Post-Invoke',
      '#clear APT::Update::Post-Invoke',
    ];
    writeFileSync(join(apt, 'apt.conf'), settings.map((line) => `${line};\n`).join(''));
  };

  /** Installs, and prints errors as JSON in the last line. */
  const install = async (...names: readonly string[]): Promise<{ problems: string; output: string }> => {
    const { code, output } = await runModule(
      `import { installPackages } from ${JSON.stringify(join(repository, 'scripts/debian-packages.mjs'))};
       const step = (title, run) => run((text) => console.error(title + ': ' + text));
       const problems = installPackages(${JSON.stringify(names)}, step, [0.01, 0.01]);
       console.log('\\n' + JSON.stringify(problems));`,
      { APT_CONFIG: join(apt, 'apt.conf') },
    );
    assert.equal(code, 0, output);
    return { problems: output.trim().split('\n').at(-1) ?? '', output };
  };
  const installed = (name: string): boolean => existsSync(join(apt, 'root', name));

  it('is retried until it answers, for lists and for packages', async () => {
    await start();
    const answers = [busyFor(2, '/./Packages'), busyFor(2, '/./kata-test-b.deb')];
    registry.answer = (path) => (answers.some((answer) => answer(path) === 'busy') ? 'busy' : 'serve');
    const { problems, output } = await install('kata-test-a', 'kata-test-b');
    assert.equal(problems, '[]', output);
    assert.match(output, /reading the Debian package lists: http:\S+Packages: 503 .*try 2 of 3/);
    assert.match(output, /installing kata-test-a, kata-test-b: http:\S+kata-test-b\.deb: 503 .*try 2 of 3/);
    assert.ok(installed('kata-test-a') && installed('kata-test-b'));
  });

  it('is named with the step and a fix; the next run continues from there', async () => {
    await start();
    registry.answer = (path) => (path === '/./kata-test-b.deb' ? 'busy' : 'serve');
    const failed = await install('kata-test-a', 'kata-test-b');
    assert.match(
      failed.problems,
      /installing kata-test-a, kata-test-b: http:\S+kata-test-b\.deb does not respond: 503 .*help: check the network and the mirror/,
    );
    assert.ok(!installed('kata-test-a'));
    const before = registry.served.length;
    registry.answer = () => 'serve';
    assert.equal((await install('kata-test-a', 'kata-test-b')).problems, '[]');
    assert.ok(installed('kata-test-a') && installed('kata-test-b'));
    assert.ok(!registry.served.slice(before).includes('/./kata-test-a.deb'), 'it was downloaded before');
  });

  it('does not have one of the packages: the others are installed', async () => {
    await start();
    const { problems, output } = await install('kata-test-a', 'no-such-package');
    assert.equal(problems, '["apt does not know these packages: no-such-package"]', output);
    assert.ok(installed('kata-test-a'));
  });
});

describe('messages of npm and apt about a registry', () => {
  const npm = (code: string, rest: string): string => `npm error code ${code}\nnpm error ${rest}\n`;
  const apt = (rest: string): string => `E: Failed to fetch http://m/p.deb  ${rest}\nE: Some files failed\n`;
  const cases: readonly (readonly [string, string, RegistryError | undefined])[] = [
    [
      'npm',
      npm('E503', '503 Service Unavailable - GET http://r/a'),
      fault('http://r/a', '503 Service Unavailable'),
    ],
    ['npm', npm('FETCH_ERROR', 'network timeout at: http://r/a'), fault('http://r/a', 'timeout')],
    [
      'npm',
      npm('ENOTFOUND', 'network request to http://r/a failed, reason: getaddrinfo ENOTFOUND r'),
      fault('http://r/a', 'getaddrinfo ENOTFOUND r'),
    ],
    ['npm', npm('E404', '404 Not Found - GET http://r/a'), undefined],
    ['npm', npm('EBADENGINE', 'engine Unsupported engine'), undefined],
    ['npm', npm('EINTEGRITY', 'sha512-x integrity checksum failed'), undefined],
    [
      'apt-get',
      apt('503  Service Unavailable [IP: 1.2.3.4 80]'),
      fault('http://m/p.deb', '503  Service Unavailable'),
    ],
    ['apt-get', apt('Connection failed [IP: 1.2.3.4 80]'), fault('http://m/p.deb', 'Connection failed')],
    ['apt-get', apt("Could not resolve 'm'"), fault('http://m/p.deb', "Could not resolve 'm'")],
    ['apt-get', apt('404  Not Found [IP: 1.2.3.4 80]'), undefined],
    ['apt-get', 'E: Unable to locate package x', undefined],
    ['apt-get', 'E: Unable to correct problems, you have held broken packages.', undefined],
  ];
  for (const [program, output, expected] of cases)
    it(`${output.trim().replaceAll('\n', ', ')}: ${expected === undefined ? 'is not a network error' : expected.reason}`, () => {
      assert.deepEqual(parseRegistryError(program, output), expected);
    });

  it('candidates are packages with a version in apt', () => {
    const printed =
      'a:\n  Installed: (none)\n  Candidate: 1\n  Version table:\nb:\n  Installed: (none)\n  Candidate: (none)\n';
    assert.deepEqual(candidatesIn(printed), ['a']);
  });
});
