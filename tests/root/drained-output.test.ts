import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

describe('output that no client may read (R15, S5)', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-drain-'));
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));

  /** Runs a container that writes much more than a pipe holds, and returns its exit code. */
  async function runNoisy(agent: AgentProcess, id: string): Promise<number> {
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: id });
    await client.createContainer(
      containerRequest({ id, rootfs, args: ['sh', '-c', 'yes | head -c 5000000; exit 4'] }),
    );
    await client.startContainer({ containerId: id });
    const { status } = await client.waitProcess({ containerId: id, execId: '' });
    await client.removeContainer({ containerId: id });
    return status;
  }

  it('output is drained if the gate denies reads, so a workload does not block on a full pipe', async () => {
    const agent = await AgentProcess.start({
      config: '[api]\nblocked_endpoints = ["ReadStdout", "ReadStderr"]\n',
    });
    try {
      assert.equal(await runNoisy(agent, `drain1-${process.pid}`), 4);
    } finally {
      await agent.dispose();
    }
  });

  it('output is drained once SetPolicy denies reads', async () => {
    const agent = await AgentProcess.start({ config: '[api]\nallowed_endpoints = ["*"]\n' });
    try {
      const { agent: client } = await agent.connect();
      const id = `drain2-${process.pid}`;
      await client.createSandbox({ sandboxId: id });
      await client.createContainer(
        containerRequest({ id, rootfs, args: ['sh', '-c', 'yes | head -c 5000000; exit 4'] }),
      );
      await client.startContainer({ containerId: id });
      await client.setPolicy({ policy: '[api]\nblocked_endpoints = ["ReadStdout", "ReadStderr"]' });
      assert.equal((await client.waitProcess({ containerId: id, execId: '' })).status, 4);
      assert.equal(
        (await answerOf(client.readStdout({ containerId: id, execId: '', len: 1 }))).code,
        'UNIMPLEMENTED',
      );
    } finally {
      await agent.dispose();
    }
  });
});

describe('SetPolicy (S4)', { skip: whyNoContainers() ?? false }, () => {
  it('a TOML fragment and Rego defaults narrow the API and never widen it', async () => {
    const agent = await AgentProcess.start({ config: '[api]\nblocked_endpoints = ["ExecProcess"]\n' });
    try {
      const { agent: client } = await agent.connect();
      const codeOf = async (call: Promise<unknown>) => (await answerOf(call)).code;
      await client.setPolicy({
        policy:
          '[api]\nallowed_endpoints = ["ExecProcess", "SetPolicy", "GetGuestDetails", "StatsContainer"]',
      });
      assert.equal(
        await codeOf(client.execProcess({})),
        'UNIMPLEMENTED',
        'a method that the document blocks stays blocked',
      );
      assert.equal(
        await codeOf(client.createSandbox({})),
        'UNIMPLEMENTED',
        'methods outside of the fragment are no longer served',
      );
      assert.equal(await codeOf(client.getGuestDetails({})), 'OK');
      const rego =
        'package agent_policy\n\ndefault SetPolicyRequest := true\ndefault GuestDetailsRequest := true\ndefault StatsContainerRequest := false\n';
      await client.setPolicy({ policy: rego });
      assert.equal(await codeOf(client.getGuestDetails({})), 'OK');
      assert.equal(await codeOf(client.statsContainer({ containerId: 'x' })), 'UNIMPLEMENTED');
      const rejected = await answerOf(
        client.setPolicy({ policy: 'package agent_policy\nallow { input.x }\n' }),
      );
      assert.equal(rejected.code, 'INVALID_ARGUMENT');
      assert.match(rejected.message, /2/, 'the error names the invalid line');
      assert.equal(await codeOf(client.getGuestDetails({})), 'OK', 'an invalid policy changes nothing');
    } finally {
      await agent.dispose();
    }
  });
});
