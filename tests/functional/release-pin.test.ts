import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { membersOf, methodNames, releases } from '@kata-agent/catalogue';
import { AgentProcess } from '../harness/agent-process.js';
import { eventually } from '../harness/retry.js';
import { requestFrame } from '../harness/raw-frame.js';
import { callAllMethods } from '../harness/sweep.js';

/** Returns the methods that an agent with this document serves. */
async function served(config: string): Promise<readonly string[]> {
  const agent = await AgentProcess.start({ config });
  try {
    const answers = await callAllMethods((await agent.connect()).agent);
    return methodNames.filter((name) => !answers.get(name)?.message.includes('is not served here'));
  } finally {
    await agent.dispose();
  }
}

describe('a release pin (R16)', () => {
  for (const release of ['2.0.0', '3.2', '3.21', releases.at(-1) ?? '']) {
    it(`limits * to the methods of ${release}, and a block-list too`, async () => {
      const of = membersOf('*', release);
      assert.deepEqual(await served(`[api]\nrelease = "${release}"\nallowed_endpoints = ["*"]\n`), of);
      const rest = of.filter((name) => name !== 'ExecProcess');
      assert.deepEqual(
        await served(`[api]\nrelease = "${release}"\nblocked_endpoints = ["ExecProcess"]\n`),
        rest,
      );
    });
  }

  it('does not serve later methods by name', async () => {
    const config = '[api]\nrelease = "3.21"\nallowed_endpoints = ["GetMetrics", "GetDiagnosticData"]\n';
    assert.deepEqual(await served(config), ['GetMetrics']);
  });

  it('does not serve a method that is only announced, says so and records its name', async () => {
    const agent = await AgentProcess.start({ config: '[api]\nallowed_endpoints = ["*"]\n' });
    try {
      const { socket } = await agent.connect();
      const answered = new Promise<Buffer>((resolve) => {
        socket.once('data', resolve);
      });
      socket.write(requestFrame(1, 'RebindSandbox'));
      const answer = await answered;
      assert.ok(answer.includes(Buffer.from([0x08, 12])), answer.toString('hex'));
      assert.match(
        answer.toString('latin1'),
        /RebindSandbox is not served here: it is announced, and no release of Kata Containers has it/,
      );
      await eventually(() => {
        const record = agent.records().find(({ method }) => method === 'RebindSandbox');
        assert.ok(record !== undefined, JSON.stringify(agent.records().at(-1)));
      });
    } finally {
      await agent.dispose();
    }
  });

  it('does not serve an unknown method, even with *', async () => {
    const agent = await AgentProcess.start({ config: '[api]\nallowed_endpoints = ["*"]\n' });
    try {
      const { socket } = await agent.connect();
      const answered = new Promise<Buffer>((resolve) => {
        socket.once('data', resolve);
      });
      socket.write(requestFrame(1, 'MigrateGuest'));
      const answer = await answered;
      // The status is a message whose field 1 is the code: 12, UNIMPLEMENTED.
      assert.ok(answer.includes(Buffer.from([0x08, 12])), answer.toString('hex'));
      assert.ok(answer.includes('the agent has no such service or method'), answer.toString('latin1'));
    } finally {
      await agent.dispose();
    }
  });
});
