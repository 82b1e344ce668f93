import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { endpoints, groups, methodNames } from '@kata-agent/catalogue';
import { codes } from '@kata-agent/catalogue/codes';
import { commandGroups, commands } from './commands/index.js';
import { runBinary } from './testing/program.js';
import { fakeIo } from '@kata-agent/cli/testing/fake-io';
import { runProgram } from '@kata-agent/cli';
import { program } from './program.js';

test('every command has help with its options and an example', async () => {
  for (const { path, examples, connects, formats } of commands) {
    const io = fakeIo();
    assert.equal(await runProgram(program, [...path.split(' '), '--help'], io), 0, path);
    const help = io.stdout.text;
    assert.ok(help.startsWith(`Usage: kata-agent-ctl ${path}`), help);
    assert.notEqual(examples.length, 0);
    for (const { line } of examples) {
      assert.ok(line.startsWith(`kata-agent-ctl ${path}`), line);
      assert.ok(help.includes(line), line);
    }
    assert.equal(help.includes('--address'), connects !== undefined, path);
    assert.equal(help.includes('--format'), formats === true, path);
    assert.equal(io.stderr.text, '');
  }
});

test('every group has help with an example, and wrong use names the help of the command', () => {
  for (const { name, example } of commandGroups) {
    const { code, stdout } = runBinary([name, '--help']);
    assert.equal(code, 0);
    assert.ok(example.line.startsWith(`kata-agent-ctl ${name} `), example.line);
    assert.ok(stdout.includes(example.line), stdout);
  }
  const { stderr } = runBinary(['config', 'check']);
  assert.match(stderr, /for help: kata-agent-ctl config check --help/);
});

test('wrong use is reported in JSON with --format json', () => {
  for (const argv of [
    ['config', 'check', '--format', 'json'],
    ['config', 'check', 'a.toml', '--nope', '--format=json'],
    ['config', 'nope', '--format', 'json'],
  ]) {
    const { code, stdout, stderr } = runBinary(argv);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    const { error } = JSON.parse(stderr) as { error: { kind: string; message: string } };
    assert.equal(error.kind, 'command');
    assert.match(error.message, /file|--nope|nope/);
  }
});

test('the program’s help lists every command and group', () => {
  const { code, stdout } = runBinary(['--help']);
  assert.equal(code, 0);
  for (const { name } of commandGroups) assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
  for (const { path } of commands) {
    if (!path.includes(' ')) assert.match(stdout, new RegExp(`^  ${path}[| ]`, 'm'));
  }
});

test('a command of another program says where it went, whatever its options', () => {
  for (const [argv, now] of [
    [['realm', 'serve', '--guests', '0.0.0.0:1', '--help'], 'kata-realm serve'],
    [['realm', 'witness-key'], 'kata-realm witness-key'],
    [['audit', 'collect', '-a', 'vsock://3:1025', '--to', 'x'], 'kata-realm collect'],
  ] as const) {
    const { code, stdout, stderr } = runBinary(argv);
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`kata-agent-ctl ${argv[0]} ${argv[1]} is now ${now}\n`));
    assert.doesNotMatch(runBinary([argv[0], '--help']).stdout, new RegExp(`^  ${argv[1]} `, 'm'));
  }
});

test('help names a command by all of its words, and refuses an unknown one', () => {
  assert.deepEqual(runBinary(['help', 'config', 'check']), runBinary(['config', 'check', '--help']));
  assert.deepEqual(runBinary(['help']), runBinary(['--help']));
  assert.equal(runBinary(['help', 'config', 'chek']).code, 2);
  assert.match(runBinary(['help', 'chek']).stderr, /unknown command 'chek'/);
});

test('the version of the program needs no agent', () => {
  assert.match(runBinary(['version']).stdout, /^kata-agent-ctl +\d+\.\d+\.\d+\n$/);
  assert.match(runBinary(['version', '--format', 'json']).stdout, /^\{"ctl":"[^"]+"\}\n$/);
});

test('the version is printed', () => {
  const { code, stdout } = runBinary(['--version']);
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('wrong use exits with 2 and an error on standard error', () => {
  for (const [argv, pattern] of [
    [[], /Usage: kata-agent-ctl/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['chek'], /Did you mean check\?/],
    [['audit'], /Usage: kata-agent-ctl audit/],
    [['check', '--nope'], /unknown option '--nope'/],
    [['check'], /no agent address given/],
    [['check', '-a', 'vsock://3'], /expected two numbers, context id and port/],
    [['check', '-a', 'unix:///x', '--timeout', 'soon'], /--timeout 'soon'/],
    [['check', 'more'], /too many arguments/],
    [['endpoints', '--format', 'xml'], /Allowed choices are text, json/],
    [['explain', 'KA1021'], /unknown code 'KA1021'\n.*did you mean KA1\d{3}\?/],
    [['endpoints', 'ExecProces'], /did you mean ExecProcess\?/],
    [['endpoints', '@exek'], /did you mean @exec\?/],
    [['endpoints', 'Health'], /always served/],
    [['call', 'Nope'], /unknown method 'Nope'/],
    [['call', 'StartContainer', '{"x": 1}', '-a', 'unix:///x'], /unknown/],
    [['signal', 'web', 'NOPE', '-a', 'unix:///x'], /'NOPE' is not a signal/],
  ] as const) {
    const { code, stdout, stderr } = runBinary(argv);
    assert.equal(code, 2, `${argv.join(' ')}: ${stderr}`);
    assert.match(stderr, pattern, argv.join(' '));
    assert.equal(stdout, '', argv.join(' '));
  }
});

test('an unreachable agent exits with 3 and names the address, in JSON on request', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
  try {
    const address = `unix://${join(directory, 'none.sock')}`;
    const text = runBinary(['check', '-a', address]);
    assert.equal(text.code, 3);
    assert.ok(text.stderr.includes(`cannot reach an agent at ${address}`), text.stderr);
    const json = runBinary(['--address', address, 'check', '--format', 'json']);
    assert.equal(json.code, 3);
    const { error } = JSON.parse(json.stderr) as { error: { kind: string; message: string } };
    assert.equal(error.kind, 'command');
    assert.ok(error.message.includes(address));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('endpoints lists all methods and groups', () => {
  const { code, stdout } = runBinary(['endpoints']);
  assert.equal(code, 0);
  const lines = stdout.split('\n');
  for (const name of [...methodNames, ...groups.keys()])
    assert.ok(
      lines.some((text) => text.startsWith(`${name} `)),
      name,
    );
});

test('endpoints NAME explains a method that is only announced, also as JSON', () => {
  const page = runBinary(['endpoints', 'RebindSandbox']).stdout;
  assert.match(page, /checkpoint of a whole pod/);
  assert.match(page, /Not served\n.*UNIMPLEMENTED/);
  const value = JSON.parse(runBinary(['endpoints', 'RebindSandbox', '--format', 'json']).stdout) as object;
  assert.ok('method' in value && value.method === 'RebindSandbox');
});

test('endpoints NAME prints a page, endpoints @GROUP its members, both also as JSON', () => {
  const page = runBinary(['endpoints', 'ExecProcess']).stdout;
  assert.match(page, /hostile peer/);
  assert.match(page, /allowed_endpoints = \["ExecProcess"\]/);
  const group = runBinary(['endpoints', '@stdio']).stdout;
  assert.match(group, /^ReadStdout /m);
  assert.doesNotMatch(group, /^ExecProcess /m);
  const one = JSON.parse(runBinary(['endpoints', 'ExecProcess', '--format', 'json']).stdout) as object;
  assert.deepEqual(one, JSON.parse(JSON.stringify(endpoints.ExecProcess)));
  const all = JSON.parse(runBinary(['endpoints', '--format', 'json']).stdout) as { endpoints: object[] };
  assert.equal(all.endpoints.length, 42);
});

test('explain CODE prints a page, explain every code, both also as JSON', () => {
  const { code, stdout } = runBinary(['explain', 'ka1201']);
  assert.equal(code, 0);
  const { title, explanation, example, remedy } = codes.KA1201;
  assert.ok(stdout.startsWith(`KA1201: ${title}\n`), stdout);
  assert.match(stdout, /^ {2}allowed_endpoints = \["@pod", "ExecProces"\]$/m);
  assert.equal(stdout, runBinary(['explain', '1201']).stdout);
  const one = JSON.parse(runBinary(['explain', 'KA1201', '--format', 'json']).stdout) as object;
  assert.deepEqual(one, { code: 'KA1201', title, explanation, example, remedy });
  assert.match(runBinary(['explain', 'unavailable']).stdout, /^UNAVAILABLE\n {2}The audit log/);
  const list = runBinary(['explain']).stdout;
  for (const each of Object.keys(codes)) assert.match(list, new RegExp(`^${each} `, 'm'));
  const all = JSON.parse(runBinary(['explain', '--format', 'json']).stdout) as { codes: object[] };
  assert.equal(all.codes.length, Object.keys(codes).length);
});

test('a template is printed without an agent', () => {
  const { code, stdout } = runBinary(['call', 'StartContainer', '--template']);
  assert.equal(code, 0);
  assert.equal(stdout, '{\n  "container_id": ""\n}\n');
});
