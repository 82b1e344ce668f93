import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { agentProgram } from '../harness/repository.js';

/** A document that must keep the agent from starting, and its error. */
interface Refused {
  readonly name: string;
  /** Creates the file at the path; absent: none. */
  readonly make?: (path: string) => void;
  readonly message: RegExp;
  readonly args?: readonly string[];
}

const write =
  (bytes: string | Uint8Array, mode = 0o644) =>
  (path: string) => {
    writeFileSync(path, bytes);
    chmodSync(path, mode);
  };

const refused: readonly Refused[] = [
  {
    name: 'a misspelt endpoint',
    make: write('[api]\nallowed_endpoints = ["ExecProces"]\n'),
    message: /:2:22: .*"ExecProces".*\n.*\n.*\^+\n.*help: .*ExecProcess/s,
  },
  {
    name: "a name in Kata's former form",
    make: write('[api]\nblocked_endpoints = ["ExecProcessRequest"]\n'),
    message: /:2:22: .*ExecProcessRequest.*help: .*"?ExecProcess"?/s,
  },
  {
    name: 'an unknown key',
    make: write('[agent]\nlog_lvel = "info"\n'),
    message: /:2:1: .*log_lvel.*help: .*log_level/s,
  },
  {
    name: 'a wrong type',
    make: write('[agent]\nhotplug_timeout = "3"\n'),
    message: /:2:19: .*hotplug_timeout/,
  },
  { name: 'an unknown section', make: write('[endpoints]\nallowed = []\n'), message: /:1:\d+: .*endpoints/ },
  {
    name: 'a duplicate key',
    make: write('[agent]\nlog_level = "info"\nlog_level = "debug"\n'),
    message: /:3:1: .*second time.*log_level = "debug"/s,
  },
  { name: '__proto__', make: write('[__proto__]\npolluted = true\n'), message: /:1:\d+: .*__proto__/ },
  { name: 'bytes that are not UTF-8', make: write(Buffer.from([0x5b, 0xff, 0x5d, 0x0a])), message: /UTF-8/ },
  {
    name: 'a byte order mark',
    make: write('\uFEFF[api]\nallowed_endpoints = []\n'),
    message: /byte order mark/i,
  },
  {
    name: 'look-alike letters',
    make: write('[api]\nallowed_endpoints = ["\u0415xecProcess"]\n'),
    message: /:2:22: .*U\+0415/s,
  },
  {
    name: 'a symbolic link',
    make: (path) => {
      write('[api]\nallowed_endpoints = []\n')(`${path}.target`);
      symlinkSync(`${path}.target`, path);
    },
    message: /symbolic link/,
  },
  {
    name: 'a world-writable file',
    make: write('[api]\nallowed_endpoints = []\n', 0o666),
    message: /written by others/,
  },
  { name: 'a directory', make: (path) => mkdirSync(path), message: /directory/ },
  { name: 'a file of 10 MiB', make: write('#'.repeat(10 << 20)), message: /256KiB/ },
  { name: 'a missing file', message: /there is no document at/ },
  { name: 'no file under --require-config', message: /require/i, args: ['--require-config'] },
  {
    name: 'a rule about a field that requests do not have',
    make: write(
      '[api]\nallowed_endpoints = ["*"]\n[[api.rule]]\nname = "r"\nendpoints = ["ExecProcess"]\nexpression = "true || request.nope"\n',
    ),
    message: /:6:\d+: .*nope/,
  },
  {
    name: 'two listeners at one address',
    make: write(
      '[[listener]]\nname = "a"\naddress = "unix:///run/x"\n[[listener]]\nname = "b"\naddress = "unix:///run//x"\n',
    ),
    message: /:6:11: error\[KA1403\].*"a" has this address already.*:3/,
  },
  {
    name: 'a listener that dials a server without believing it, and without operators',
    make: write(
      '[[listener]]\nname = "a"\naddress = "https://tenant.example/guests"\ntls.server_ca = "/ca.pem"\n',
    ),
    message: /:4:\d+: error\[KA1404\].*relay = "operator-tls", the default, must have tls\.client_ca/,
  },
];

describe('an invalid configuration keeps the agent from listening', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-refused-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  for (const [index, { name, make, message, args }] of refused.entries()) {
    it(`${name}: exit 1 and its message`, () => {
      const path = join(directory, `${index}.toml`);
      const socket = join(directory, `${index}.sock`);
      make?.(path);
      const document = args === undefined ? ['-c', path] : args;
      const run = spawnSync(
        process.execPath,
        [agentProgram, ...document, '--server-addr', `unix://${socket}`],
        {
          encoding: 'utf8',
          timeout: 60_000,
          env: { PATH: process.env['PATH'] },
        },
      );
      assert.equal(run.status, 1, run.stderr);
      assert.match(run.stderr, message);
      assert.equal(existsSync(socket), false, 'it never listened');
      assert.doesNotMatch(run.stderr, /\n {4}at /, 'an error has no stack trace');
    });
  }

  it('all errors of a file are printed', () => {
    const path = join(directory, 'all.toml');
    write('[agent]\nlog_lvel = 1\nhotplug_timeout = "x"\n[api]\nblocked_endpoints = ["Nope"]\n')(path);
    const run = spawnSync(process.execPath, [agentProgram, '--check', '-c', path], { encoding: 'utf8' });
    assert.equal(run.status, 1);
    for (const place of [':2:1:', ':3:19:', ':5:22:'])
      assert.ok(run.stderr.includes(place), `${place} in\n${run.stderr}`);
  });

  it('--check and --explain print JSON as kata-agent-ctl config does', () => {
    const path = join(directory, 'fine.toml');
    write('[api]\nallowed_endpoints = ["@pod", "@pod"]\n')(path);
    for (const task of ['--check', '--explain']) {
      const args = [agentProgram, task, '--format', 'json', '-c', path];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      const value = JSON.parse(stdout) as { ok: boolean; diagnostics: { severity: string }[] };
      assert.equal(value.ok, true);
      assert.deepEqual(
        value.diagnostics.map(({ severity }) => severity),
        ['warning'],
      );
    }
  });
});

test('a closed standard output is not a failure; a full disk is one', () => {
  const run = (to: string): { readonly status: number | null; readonly stderr: string } =>
    spawnSync('bash', ['-c', `set -o pipefail; "$0" "$1" --help ${to}`, process.execPath, agentProgram], {
      encoding: 'utf8',
    });
  const closed = run('| true');
  assert.equal(closed.stderr, '');
  assert.equal(closed.status, 0);
  const full = run('> /dev/full');
  assert.match(full.stderr, /^kata-agent: standard output: .*ENOSPC/);
  assert.equal(full.status, 1);
});

test('an address that is not available exits with 3, with a fix', async () => {
  const { code, stderr } = await AgentProcess.run({
    config: '[api]\nallowed_endpoints = ["@pod"]\n',
    args: ['--server-addr', 'unix:///nothing/of/ours.sock'],
  });
  assert.equal(code, 3, stderr);
  assert.match(
    stderr,
    /listener server_addr at unix:\/\/\/nothing\/of\/ours\.sock: .*create the directory of the socket/,
  );
});
