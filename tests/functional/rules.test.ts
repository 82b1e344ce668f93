import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';

const config = `[api]
release = "3.21"
allowed_endpoints = ["*"]
blocked_endpoints = ["SignalProcess"]

[[api.rule]]
name = "known-commands"
endpoints = ["ExecProcess"]
expression = 'args[0] in ["/bin/healthcheck"] && !terminal'
message = "only the health check may be executed"

[[api.rule]]
name = "no-evil-sandbox"
endpoints = ["CreateSandbox"]
expression = 'request.sandbox_id != "evil"'

[[api.rule]]
name = "mode"
endpoints = ["CreateContainer"]
expression = '!("MODE" in env) || env["MODE"] == "safe"'

[[api.rule]]
name = "watched"
endpoints = ["GetGuestDetails", "DestroySandbox"]
expression = 'false'
enforcement = "audit"

[[api.rule]]
name = "no-oom"
endpoints = ["GetOOMEvent"]
expression = 'false'

[audit]
facts = true
`;

interface AuditedRecord {
  readonly kind: string;
  readonly method: string;
  readonly peer: string;
  readonly of?: string;
  readonly count?: number;
  readonly decision: { readonly outcome: string; readonly rule?: string; readonly reason: string };
  readonly subject?: Readonly<Record<string, string>>;
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly result?: { readonly code: string };
}

const request = (env: readonly string[]) => containerRequest({ id: 'c1', rootfs: '/', args: ['sh'], env });

describe('rules of a running agent (R6, R12)', () => {
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  before(async () => {
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
  });
  after(() => agent.dispose());

  it('deny with PERMISSION_DENIED, the rule’s name and its message; the lists with UNIMPLEMENTED', async () => {
    const exec = (args: readonly string[]) =>
      answerOf(client.execProcess({ containerId: 'c1', execId: 'e1', process: processRequest(args) }));
    const refused = await exec(['/bin/sh', '-c', 'id']);
    assert.equal(refused.code, 'PERMISSION_DENIED');
    assert.match(
      refused.message,
      /^ExecProcess is refused here: rule "known-commands" refused it \(.*:\d+\): only the health check may be executed$/,
    );
    const passed = await exec(['/bin/healthcheck']);
    assert.equal(
      passed.code,
      'INVALID_ARGUMENT',
      'it reaches its handler, which does not know the container',
    );
    const listed = await answerOf(client.signalProcess({ containerId: 'c1' }));
    assert.equal(listed.code, 'UNIMPLEMENTED');
    assert.match(listed.message, /^SignalProcess is not served here/);
  });

  it('precede every effect', async () => {
    const evil = await answerOf(client.createSandbox({ sandboxId: 'evil' }));
    assert.equal(evil.code, 'PERMISSION_DENIED');
    const good = await answerOf(client.createSandbox({ sandboxId: 'good' }));
    assert.equal(good.code, 'OK', 'there was no sandbox yet');
  });

  it('a duplicate variable is denied before rules are evaluated', async () => {
    const twice = await answerOf(client.createContainer(request(['MODE=safe', 'MODE=mean'])));
    assert.equal(twice.code, 'PERMISSION_DENIED');
    assert.match(twice.message, /rule "mode".*MODE/);
    const other = await answerOf(client.createContainer(request(['A=1', 'A=2'])));
    assert.equal(other.code, 'PERMISSION_DENIED', 'for any variable');
    const once = await answerOf(client.createContainer(request(['MODE=mean'])));
    assert.match(once.message, /rule "mode"/);
    const safe = await answerOf(client.createContainer(request(['MODE=safe'])));
    assert.doesNotMatch(safe.message, /rule/, 'it reaches its handler');
  });

  it('with enforcement = "audit" deny nothing', async () => {
    assert.equal((await answerOf(client.getGuestDetails({}))).code, 'OK');
  });

  it('answer a denied GetOOMEvent late (S28)', async () => {
    assert.equal((await answerOf(client.getOOMEvent({}, { timeoutMs: 600 }))).code, 'DEADLINE_EXCEEDED');
    assert.equal((await answerOf(client.getOOMEvent({}))).code, 'PERMISSION_DENIED');
  });

  it('are recorded: denials and matches in audit mode with their rule, a flood folded', async () => {
    const flood = Array.from({ length: 2_000 }, () =>
      answerOf(client.createSandbox({ sandboxId: 'evil', hostname: 'h' })),
    );
    for (const { code } of await Promise.all(flood)) assert.equal(code, 'PERMISSION_DENIED');
    assert.equal((await answerOf(client.destroySandbox({}))).code, 'OK');
    await agent.exited;

    const text = JSON.stringify(agent.records());
    const records = agent.records() as unknown as readonly AuditedRecord[];
    const refusals = records.filter(({ kind }) => kind === 'refusal');
    const exec = refusals.find(({ method }) => method === 'ExecProcess');
    assert.equal(exec?.decision.rule, 'known-commands');
    assert.deepEqual(exec?.subject, { containerId: 'c1', execId: 'e1', argv0: '/bin/sh' });
    assert.equal(exec?.facts?.['command'], '/bin/sh');
    const listed = refusals.find(({ method }) => method === 'SignalProcess');
    assert.equal(listed?.decision.rule, undefined);

    const evil = records.filter(
      ({ method, decision }) => method === 'CreateSandbox' && decision?.outcome === 'deny',
    );
    assert.deepEqual(
      evil.map(({ decision }) => decision.rule),
      evil.map(() => 'no-evil-sandbox'),
    );
    assert.ok(evil.length < 10, `${evil.length} records`);
    const counted = evil.reduce((sum, { kind, count = 0 }) => sum + (kind === 'refusal' ? 1 : count), 0);
    assert.equal(counted, 2_001, 'and each of them is counted');

    const watched = records.find(({ kind, method }) => kind === 'call' && method === 'GetGuestDetails');
    assert.deepEqual([watched?.decision.outcome, watched?.decision.rule], ['allow', 'watched']);
    assert.equal(watched?.result?.code, 'OK');
    const intent = records.find(({ kind, method }) => kind === 'intent' && method === 'DestroySandbox');
    assert.equal(intent?.decision.rule, 'watched');

    const created = records.find(({ kind, method }) => kind === 'intent' && method === 'CreateContainer');
    assert.deepEqual(created?.facts?.['environment'], ['MODE', 'PATH']);
    // With facts the whole command is recorded, and still no value of the environment.
    assert.deepEqual(exec?.facts?.['arguments'], ['/bin/sh', '-c', 'id']);
    for (const value of ['safe', 'mean']) {
      const at = text.indexOf(value);
      assert.equal(at, -1, `a value is recorded: ${text.slice(Math.max(at - 200, 0), at + 50)}`);
    }
  });
});

describe('rules from SetPolicy (S4, S22)', () => {
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  before(async () => {
    agent = await AgentProcess.start({ config: '[api]\nrelease = "3.21"\nallowed_endpoints = ["*"]\n' });
    ({ agent: client } = await agent.connect());
  });
  after(() => agent.dispose());

  const policy = (name: string, expression: string, endpoint = 'GetGuestDetails') => ({
    policy: `[[api.rule]]\nname = "${name}"\nendpoints = ["${endpoint}"]\nexpression = '${expression}'\n`,
  });

  it('are checked like those of a document, with positions', async () => {
    for (const [expression, wrong] of [
      ['true || request.nope', /SetPolicy:4:\d+: .*nope/],
      ['request.mem_block_size == 5', /SetPolicy:4:\d+/],
      ['true &&', /SetPolicy:4:\d+/],
    ] as const) {
      const { code, message } = await answerOf(client.setPolicy(policy('wrong', expression)));
      assert.equal(code, 'INVALID_ARGUMENT', expression);
      assert.match(message, wrong, expression);
    }
    assert.equal((await answerOf(client.getGuestDetails({}))).code, 'OK', 'and change nothing');
  });

  it('stay in force, and no later policy removes them', async () => {
    const ports = { containerId: 'c', execId: 'e', process: processRequest(['x']), stdoutPort: 5 };
    const before = await answerOf(client.execProcess(ports));
    assert.equal(before.code, 'FAILED_PRECONDITION', 'stdio over ports needs passfd_listener_port');
    await client.setPolicy(policy('no-details', 'request.mem_block_size'));
    await client.setPolicy(policy('reads', 'request.len < 100u', 'ReadStdout'));
    const refused = await answerOf(client.getGuestDetails({}));
    assert.equal(refused.code, 'PERMISSION_DENIED');
    assert.match(refused.message, /no-details/);
    assert.equal((await answerOf(client.getGuestDetails({ memBlockSize: true }))).code, 'OK');

    const after = await answerOf(client.execProcess(ports));
    assert.equal(after.code, 'PERMISSION_DENIED', 'a port would bypass the rule (S22)');
    assert.match(after.message, /ReadStdout/);

    const again = await answerOf(client.setPolicy(policy('no-details', 'true')));
    assert.equal(again.code, 'INVALID_ARGUMENT');
    assert.match(again.message, /no-details.*already exists/);
    await client.setPolicy(policy('yes', 'true'));
    assert.equal((await answerOf(client.getGuestDetails({}))).code, 'PERMISSION_DENIED');
  });

  it('are all kept, also from concurrent calls', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `at-once-${index}`);
    await Promise.all(
      names.map((name, index) => client.setPolicy(policy(name, `request.len != ${index}u`, 'ReadStderr'))),
    );
    for (const [len, name] of names.entries()) {
      const { message } = await answerOf(client.readStderr({ containerId: 'c', execId: '', len }));
      assert.match(message, new RegExp(name));
    }
  });
});

describe('a listener of the configuration', () => {
  const listener = (peers: string) =>
    `[[listener]]\nname = "front"\naddress = "vsock://-1:1024"\npeers = ${peers}\nallowed_endpoints = ["GetGuestDetails", "CreateSandbox"]\n\n[[api.rule]]\nname = "only-uid-7"\nendpoints = ["CreateSandbox"]\nexpression = 'listener == "front" && peer.kind == "unix" && peer.uid == 7u'\n`;

  it('serves its own list under its own name, which rules see', async () => {
    const agent = await AgentProcess.start({
      config: `[api]\nallowed_endpoints = ["@pod", "GetGuestDetails"]\n${listener('["host"]')}`,
    });
    try {
      const { agent: client } = await agent.connect();
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'OK');
      assert.equal(
        (await answerOf(client.startContainer({}))).code,
        'UNIMPLEMENTED',
        'in [api], not in the listener’s list',
      );
      assert.match((await answerOf(client.createSandbox({}))).message, /only-uid-7/);
      await agent.stop();
      const names = agent.records().flatMap(({ listener: name }) => (name === undefined ? [] : [name]));
      assert.deepEqual(new Set(names), new Set(['front']));
    } finally {
      await agent.dispose();
    }
  });

  it('closes the connection of a peer that it does not accept, with a log line and a record (S24)', async () => {
    const agent = await AgentProcess.start({
      config: `[api]\nallowed_endpoints = ["*"]\nrelease = "3.21"\n${listener('["uid:4242"]')}`,
    });
    try {
      const { agent: client, socket } = await agent.connect();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await assert.rejects(client.getGuestDetails({}));
      await closed;
      await agent.stop();
      assert.ok(agent.log.some((line) => line.includes('not in peers') && line.includes('front')));
      const [refusal] = agent.records().filter(({ kind }) => kind === 'refusal');
      assert.equal(refusal?.['method'], '(connection)');
      assert.match(JSON.stringify(refusal), /"code":"KA3202".*uid:4242/);
    } finally {
      await agent.dispose();
    }
  });
});

describe('the ready-made rules', () => {
  const directory = `${repository}examples/rules/`;
  const examples = readdirSync(directory).filter((name) => name.endsWith('.toml'));

  for (const example of examples) {
    it(`examples/rules/${example} is in force on an agent that it starts`, async () => {
      const agent = await AgentProcess.start({ config: readFileSync(`${directory}${example}`, 'utf8') });
      try {
        const { health } = await agent.connect();
        assert.equal((await answerOf(health.check({}))).code, 'OK');
        assert.equal(await agent.stop(), 0);
      } finally {
        await agent.dispose();
      }
    });
  }
});
