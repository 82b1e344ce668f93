import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { AgentProcess } from '../harness/agent-process.js';
import { repository } from '../harness/repository.js';
import { answerOf, callAllMethods } from '../harness/sweep.js';

/** forward.toml needs another agent, and has tests of its own (forward-documents.test.ts). */
const examples = readdirSync(`${repository}examples`).filter(
  (name) => name.endsWith('.toml') && name !== 'forward.toml',
);

/** The methods that each example serves, listed by hand as an independent check. */
const servedBy: Readonly<Record<string, (method: MethodName) => boolean>> = {
  'open.toml': () => true,
  'seed.toml': () => true,
};

async function answers(config: string | undefined): Promise<{
  readonly answers: Awaited<ReturnType<typeof callAllMethods>>;
  readonly served: ReadonlySet<string>;
}> {
  const agent = await AgentProcess.start(config === undefined ? {} : { config });
  try {
    const { agent: client, health } = await agent.connect();
    assert.equal((await answerOf(health.check({}))).code, 'OK', 'Health is always served');
    const found = await callAllMethods(client);
    const served = [...found]
      .filter(([, { message }]) => !message.includes('is not served here'))
      .map(([name]) => name);
    return { answers: found, served: new Set(served) };
  } finally {
    await agent.dispose();
  }
}

describe('served methods', () => {
  it('are all without a document (R1)', async () => {
    const { served } = await answers(undefined);
    assert.deepEqual([...served].sort(), [...methodNames].sort());
  });

  it('are only Health with an empty allow-list (S1)', async () => {
    const { answers: found } = await answers('[api]\nallowed_endpoints = []\n');
    for (const method of methodNames) {
      const { code, message } = found.get(method) ?? assert.fail(`${method} was not called`);
      assert.equal(code, 'UNIMPLEMENTED', method);
      assert.match(message, new RegExp(`^${method} is not served here`), method);
    }
  });

  it('are only Health with a document without any list (R5)', async () => {
    const { served } = await answers('[agent]\nlog_level = "info"\n');
    assert.deepEqual([...served], []);
  });

  for (const example of examples) {
    it(`examples/${example}: served methods work, the others answer UNIMPLEMENTED with their name`, async () => {
      const text = readFileSync(`${repository}examples/${example}`, 'utf8');
      const { answers: found, served } = await answers(text);
      const expected = servedBy[example];
      if (expected !== undefined) assert.deepEqual([...served].sort(), methodNames.filter(expected).sort());
      for (const method of methodNames) {
        const { code, message } = found.get(method) ?? assert.fail(`${method} was not called`);
        if (!served.has(method)) assert.match(message, new RegExp(`^${method} is not served here`), method);
        else assert.notEqual(code, 'UNIMPLEMENTED', `${method}: ${message}`);
      }
    });
  }
});

describe('a denied call', () => {
  let agent: AgentProcess | undefined;
  after(() => agent?.dispose());

  it('answers GetOOMEvent late (S28), reads as configured (R15), and is recorded', async () => {
    agent = await AgentProcess.start({
      config:
        '[api]\nblocked_endpoints = ["GetOOMEvent", "ReadStdout", "ReadStderr", "ExecProcess"]\non_denied_read = "eof"\n',
    });
    const { agent: client } = await agent.connect();
    assert.equal((await answerOf(client.getOOMEvent({}, { timeoutMs: 600 }))).code, 'DEADLINE_EXCEEDED');
    assert.equal((await answerOf(client.getOOMEvent({}))).code, 'UNIMPLEMENTED');
    assert.equal((await client.readStdout({ containerId: 'c', execId: '', len: 10 })).data.length, 0);
    assert.equal((await client.readStderr({ containerId: 'c', execId: '', len: 10 })).data.length, 0);
    assert.equal((await answerOf(client.execProcess({ containerId: 'c' }))).code, 'UNIMPLEMENTED');
    await agent.stop();
    const refused = agent
      .records()
      .filter(({ kind }) => kind === 'refusal')
      .map(({ method }) => String(method))
      .sort();
    assert.deepEqual(refused, ['ExecProcess', 'GetOOMEvent', 'ReadStderr', 'ReadStdout']);
  });
});
