import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { methodNames } from '@kata-agent/catalogue';
import { AgentProcess } from '../harness/agent-process.js';
import { repository } from '../harness/repository.js';
import { sweep } from '../harness/sweep.js';

const folder = mkdtempSync(join(tmpdir(), 'kata-bundle-'));
after(() => rmSync(folder, { recursive: true }));

const minimal = `${repository}examples/minimal.toml`;
/** Serves what minimal.toml does not, and not what it serves. */
const observe = `${repository}examples/observe.toml`;

/** A function of handlers as `scripts/bundle-search.mjs` tells of it. */
interface SearchRow {
  readonly functions: readonly (readonly string[])[];
  readonly found: number;
}

function node(...args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, args, { encoding: 'utf8', cwd: repository });
}

/** Makes a bundle and answers its folder. */
function bundle(name: string, ...options: readonly string[]): string {
  const out = join(folder, name);
  const made = node('scripts/bundle.mjs', '--compiled', '--out', out, ...options);
  assert.equal(made.status, 0, made.stderr);
  return out;
}

function search(out: string): readonly SearchRow[] {
  return JSON.parse(node('scripts/bundle-search.mjs', out).stdout) as readonly SearchRow[];
}

function versionOf(out: string): string {
  return node(join(out, 'kata-agent.mjs'), '--version').stdout;
}

/** What `--version` says was left out. */
function leftOut(out: string): readonly string[] {
  return /left out: (.*)/.exec(versionOf(out))?.[1]?.split(', ') ?? [];
}

it('the client runs from any folder, and tells the version of its package', async () => {
  const { bundleClient } = (await import(`${repository}scripts/bundle-programs.mjs`)) as {
    readonly bundleClient: (folder: string) => Promise<{ readonly file: string }>;
  };
  const { file } = await bundleClient(join(folder, 'client'));
  const manifest: unknown = JSON.parse(readFileSync(`${repository}packages/ctl/package.json`, 'utf8'));
  const { stdout, stderr } = node(file, '--version');
  assert.equal(stdout, `${(manifest as { readonly version: string }).version}\n`, stderr);
});

describe('a bundle that has everything', () => {
  let out = '';
  before(() => {
    out = bundle('open');
  });

  it('holds each handler and the work it has done, once', () => {
    const rows = search(out);
    for (const { functions, found } of rows) assert.equal(found, functions.length, functions.join());
    const searched = new Set(rows.flatMap(({ functions }) => functions.flat()));
    for (const name of methodNames) assert.ok(searched.has(name), name);
  });

  it('says nothing but its version', () => {
    assert.match(versionOf(out), /^\d+\.\d+\.\d+\n$/);
  });

  it('answers a scrape by the library that is loaded then', async () => {
    const agent = await AgentProcess.start({ program: join(out, 'kata-agent.mjs') });
    try {
      const { agent: client } = await agent.connect();
      const { metrics } = await client.getMetrics({});
      assert.match(metrics, /^kata_agent_scrape_count 1$/m);
    } finally {
      await agent.dispose();
    }
  });

  it('loads CEL when a document has a rule, and not before', async () => {
    const parts = join(out, 'parts');
    const [rules = ''] = readdirSync(parts).filter((name) => name.startsWith('rules-'));
    const rule = '[[api.rule]]\nname = "none"\nendpoints = ["ExecProcess"]\nexpression = "false"\n';
    const lists = '[api]\nallowed_endpoints = ["ExecProcess"]\n';
    const program = join(out, 'kata-agent.mjs');
    const config = join(folder, 'rule.toml');
    writeFileSync(config, lists + rule, { mode: 0o644 });
    assert.equal(node(program, '--check', '-c', config).status, 0);
    renameSync(join(parts, rules), join(folder, 'rules-away'));
    try {
      const agent = await AgentProcess.start({ program, config: lists });
      await agent.dispose();
      const { status, stderr } = node(program, '--check', '-c', config);
      assert.equal(status, 1);
      assert.match(stderr, /rules-/);
    } finally {
      renameSync(join(folder, 'rules-away'), join(parts, rules));
    }
  });
});

describe('a bundle for a configuration (R13)', () => {
  let out = '';
  let program = '';
  before(() => {
    out = bundle('minimal', '--config', minimal);
    program = join(out, 'kata-agent.mjs');
  });

  for (const [file, absent, present] of [
    [minimal, ['ExecProcess', 'ReadStdout', 'SetPolicy'], ['CreateContainer']],
    [observe, ['CreateContainer', 'DestroySandbox', 'SetPolicy'], ['ReadStdout']],
  ] as const) {
    it(`has no code of the handlers that ${basename(file)} never serves`, () => {
      const made = file === minimal ? out : bundle('observe', '--config', file);
      const gone = leftOut(made);
      assert.ok(absent.every((name) => gone.includes(name)));
      assert.ok(!present.some((name) => gone.includes(name)));
      for (const { functions, found } of search(made)) {
        const needed = functions.filter((methods) => methods.some((name) => !gone.includes(name)));
        assert.equal(found, needed.length, functions.join());
      }
    });
  }

  it('serves the rest, answers UNIMPLEMENTED for what is not there, and records what it is', async () => {
    const agent = await AgentProcess.start({ program, config: readFileSync(minimal, 'utf8') });
    try {
      const { agent: client } = await agent.connect();
      const answers = await sweep(client);
      const absent = leftOut(out);
      for (const name of methodNames) {
        const { code, message } = answers.get(name) ?? assert.fail(name);
        if (!absent.includes(name)) assert.doesNotMatch(message, /is not served here/, name);
        // The example answers refused reads with the end of file.
        else if (name === 'ReadStdout' || name === 'ReadStderr') assert.equal(code, 'OK', name);
        else {
          assert.equal(code, 'UNIMPLEMENTED', name);
          assert.match(message, /left out of this build/, name);
        }
      }
      await agent.stop();
      const boot = agent.records().find(({ kind }) => kind === 'boot') ?? assert.fail('no first record');
      assert.deepEqual((boot['facts'] as Readonly<Record<string, unknown>>)['leftOut'], absent);
    } finally {
      await agent.dispose();
    }
  });

  it('serves no more without any configuration', async () => {
    const agent = await AgentProcess.start({ program });
    try {
      const { agent: client } = await agent.connect();
      const answers = await sweep(client);
      for (const name of leftOut(out)) assert.match(answers.get(name)?.message ?? '', /left out/, name);
    } finally {
      await agent.dispose();
    }
  });

  it('refuses a configuration that names what is not there, and takes less for a group', async () => {
    const lists = '[api]\nallowed_endpoints = ["@pod", "@exec"]\n';
    const refused = await AgentProcess.run({ program, config: lists.replace('@exec', 'ExecProcess') });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /config\.toml:2:30: .*"ExecProcess" was left out when this agent was built/);
    const agent = await AgentProcess.start({ program, config: lists });
    try {
      assert.ok(agent.log.some((line) => /@exec.* is smaller in this build.*ExecProcess/.test(line)));
    } finally {
      await agent.dispose();
    }
  });
});

describe('a bundle with its configuration built in', () => {
  let program = '';
  before(() => {
    program = join(bundle('embedded', '--config', minimal, '--embed'), 'kata-agent.mjs');
  });

  it('reads no other', () => {
    const { status, stderr } = node(program, '--check', '-c', minimal);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /-c names ".*minimal\.toml", but the document that is built in is the configuration/,
    );
  });

  it('runs under it, without being told', () => {
    const { status, stdout } = node(program, '--explain', '--format', 'json');
    assert.equal(status, 0);
    assert.match(stdout, /"source":"minimal\.toml:\d+"/);
    assert.match(
      versionOf(join(program, '..')),
      /built for minimal\.toml, sha256 [0-9a-f]{64}\nthis document is built in/,
    );
  });
});

describe('npm run bundle', () => {
  it('makes an agent that does not start without a configuration', async () => {
    const program = join(bundle('required', '--require-config'), 'kata-agent.mjs');
    const { code, stderr } = await AgentProcess.run({ program });
    assert.equal(code, 1);
    assert.match(stderr, /there is no configuration, and --require-config asks for one/);
  });

  it('makes nothing of a wrong configuration, and says what is wrong', () => {
    const wrong = join(folder, 'wrong.toml');
    writeFileSync(wrong, '[api]\nallowed_endpoints = ["ExecProces"]\n');
    const { status, stderr } = node(
      'scripts/bundle.mjs',
      '--compiled',
      '--out',
      join(folder, 'x'),
      '--config',
      wrong,
    );
    assert.equal(status, 1);
    assert.match(stderr, /wrong\.toml:2:22: .*"ExecProces"/);
  });

  it('needs a configuration to build one in', () => {
    const { status, stderr } = node('scripts/bundle.mjs', '--embed');
    assert.equal(status, 2);
    assert.match(stderr, /--embed needs --config FILE/);
  });
});
