import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { methodNames } from '@kata-agent/catalogue';
import { bundleClient, bundleRealm } from '@kata-agent/tool-bundle/programs';
import { searchHandlers } from '@kata-agent/tool-bundle/search';
import { AgentProcess } from '../harness/agent-process.js';
import { repository } from '../harness/repository.js';
import { callAllMethods } from '../harness/sweep.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-bundle-'));
after(() => rmSync(directory, { recursive: true }));

const minimal = `${repository}examples/minimal.toml`;
/** Serves what minimal.toml does not, and vice versa. */
const observe = `${repository}examples/observe.toml`;

function node(...args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, args, { encoding: 'utf8', cwd: repository });
}

/** Makes a bundle and returns its directory. */
function bundle(name: string, ...options: readonly string[]): string {
  const out = join(directory, name);
  const made = node('scripts/bundle.mjs', '--compiled', '--out', out, ...options);
  assert.equal(made.status, 0, made.stderr);
  return out;
}

function versionOf(out: string): string {
  return node(join(out, 'kata-agent.cjs'), '--version').stdout;
}

/** Returns the omitted methods that `--version` prints. */
function leftOut(out: string): readonly string[] {
  return /left out: (.*)/.exec(versionOf(out))?.[1]?.split(', ') ?? [];
}

for (const [name, bundleProgram, source] of [
  ['kata-agent-ctl', bundleClient, 'client/ctl'],
  ['kata-realm', bundleRealm, 'realm/program'],
] as const)
  it(`${name} runs from any directory, and prints the version of its package`, async () => {
    const { file } = await bundleProgram(join(directory, name));
    const manifest: unknown = JSON.parse(readFileSync(`${repository}${source}/package.json`, 'utf8'));
    const { stdout, stderr } = node(file, '--version');
    assert.equal(stdout, `${(manifest as { readonly version: string }).version}\n`, stderr);
  });

it('kata-agent-ctl has no code of a realm: no NATS, no OpenTelemetry', async () => {
  const { outputs } = await bundleClient(join(directory, 'without-realm'));
  const inputs = Object.values(outputs).flatMap((output) => Object.keys(output.inputs));
  assert.deepEqual(
    inputs.filter((path) => /@nats-io|@opentelemetry|^realm\//.test(path)),
    [],
  );
});

describe('a complete bundle', () => {
  let out = '';
  before(() => {
    out = bundle('open');
  });

  it('has each handler and its implementation, once', async () => {
    const rows = await searchHandlers(out);
    for (const { functions, found } of rows) assert.equal(found, functions.length, functions.join());
    const searched = new Set(rows.flatMap(({ functions }) => functions.flat()));
    for (const name of methodNames) assert.ok(searched.has(name), name);
  });

  it('prints only its version', () => {
    assert.match(versionOf(out), /^\d+\.\d+\.\d+\n$/);
  });

  it('serves metrics, with the library loaded on demand', async () => {
    const agent = await AgentProcess.start({ program: join(out, 'kata-agent.cjs') });
    try {
      const { agent: client } = await agent.connect();
      const { metrics } = await client.getMetrics({});
      assert.match(metrics, /^kata_agent_scrape_count 1$/m);
    } finally {
      await agent.dispose();
    }
  });

  it('has the threads in which calls on pipes of containers wait (S36)', async () => {
    const agent = await AgentProcess.start({ program: join(out, 'kata-agent.cjs') });
    try {
      const threads = readdirSync(`/proc/${agent.process.pid}/task`).length;
      assert.ok(threads > 32, `${threads} threads`);
    } finally {
      await agent.dispose();
    }
  });

  it('is for one release of Node.js: with a code cache that V8 rejects it says so, and serves', async () => {
    const copy = join(directory, 'other-release');
    cpSync(out, copy, { recursive: true });
    const cache = join(copy, 'program.cache');
    const bytes = readFileSync(cache);
    bytes.writeUInt8(bytes.readUInt8(4) ^ 1, 4); // the hash of V8's version (src/snapshot/code-serializer.h)
    writeFileSync(cache, bytes);
    const { status, stdout, stderr } = node(join(copy, 'kata-agent.cjs'), '--version');
    assert.equal(status, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
    assert.match(stderr, /^kata-agent: V8 rejected the code cache, which is of another release.*\n$/);
  });
});

describe('a bundle for a configuration (R13)', () => {
  let out = '';
  let program = '';
  before(() => {
    out = bundle('minimal', '--config', minimal);
    program = join(out, 'kata-agent.cjs');
  });

  for (const [file, absent, present] of [
    [minimal, ['ExecProcess', 'ReadStdout', 'SetPolicy'], ['CreateContainer']],
    [observe, ['CreateContainer', 'DestroySandbox', 'SetPolicy'], ['ReadStdout']],
  ] as const) {
    it(`has no code of the handlers that ${basename(file)} never serves`, async () => {
      const made = file === minimal ? out : bundle('observe', '--config', file);
      const gone = leftOut(made);
      assert.ok(absent.every((name) => gone.includes(name)));
      assert.ok(!present.some((name) => gone.includes(name)));
      for (const { functions, found } of await searchHandlers(made)) {
        const needed = functions.filter((methods) => methods.some((name) => !gone.includes(name)));
        assert.equal(found, needed.length, functions.join());
      }
    });
  }

  it('serves the rest, answers UNIMPLEMENTED for missing methods, and records its build', async () => {
    const agent = await AgentProcess.start({ program, config: readFileSync(minimal, 'utf8') });
    try {
      const { agent: client } = await agent.connect();
      const answers = await callAllMethods(client);
      const absent = leftOut(out);
      for (const name of methodNames) {
        const { code, message } = answers.get(name) ?? assert.fail(name);
        if (!absent.includes(name)) assert.doesNotMatch(message, /is not served here/, name);
        // The example answers denied reads with end of file.
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

  it('does not serve more without a configuration', async () => {
    const agent = await AgentProcess.start({ program });
    try {
      const { agent: client } = await agent.connect();
      const answers = await callAllMethods(client);
      for (const name of leftOut(out)) assert.match(answers.get(name)?.message ?? '', /left out/, name);
    } finally {
      await agent.dispose();
    }
  });

  it('rejects a configuration that names a missing method, and reduces groups', async () => {
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

describe('a bundle with a built-in configuration', () => {
  let program = '';
  before(() => {
    program = join(bundle('embedded', '--config', minimal, '--embed'), 'kata-agent.cjs');
  });

  it('reads no other configuration', () => {
    const { status, stderr } = node(program, '--check', '-c', minimal);
    assert.equal(status, 1);
    assert.match(stderr, /-c names ".*minimal\.toml", but the built-in document is the configuration/);
  });

  it('applies it without options', () => {
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
    const program = join(bundle('required', '--require-config'), 'kata-agent.cjs');
    const { code, stderr } = await AgentProcess.run({ program });
    assert.equal(code, 1);
    assert.match(stderr, /there is no configuration, and --require-config asks for one/);
  });

  it('fails on an invalid configuration, and prints its errors', () => {
    const wrong = join(directory, 'wrong.toml');
    writeFileSync(wrong, '[api]\nallowed_endpoints = ["ExecProces"]\n');
    const { status, stderr } = node(
      'scripts/bundle.mjs',
      '--compiled',
      '--out',
      join(directory, 'x'),
      '--config',
      wrong,
    );
    assert.equal(status, 1);
    assert.match(stderr, /wrong\.toml:2:22: .*"ExecProces"/);
  });

  it('needs a configuration for --embed', () => {
    const { status, stderr } = node('scripts/bundle.mjs', '--compiled', '--embed');
    assert.equal(status, 2);
    assert.match(stderr, /--embed needs --config FILE/);
  });
});
