import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const config = `[api]
release = "4.1"
allowed_endpoints = ["*"]

[limits]
execs_per_container = 8

[[listener]]
name = "host"
address = "vsock://-1:1024"
allowed_endpoints = ["*"]

[[listener]]
name = "tenant"
address = "vsock://-1:1025"
peers = ["uid:1001", "uid:1002"]
allowed_endpoints = ["ExecProcess", "WaitProcess"]
`;

describe('execs of a container that several callers use (S44)', { skip: whyNoContainers() ?? false }, () => {
  const containerId = `se-${process.pid}`;
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-execs-'));
  let agent: AgentProcess;
  let host: AgentConnection['agent'];
  before(async () => {
    const rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({ config });
    host = (await agent.connect()).agent;
    await host.createSandbox({ sandboxId: 'pod' });
    await host.createContainer(containerRequest({ id: containerId, rootfs, args: ['sleep', '1000'] }));
    await host.startContainer({ containerId });
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  let count = 0;
  const exec = async (client: AgentConnection['agent']): Promise<string> => {
    const process = processRequest(['sleep', '1000']);
    return (await answerOf(client.execProcess({ containerId, execId: `e${(count += 1)}`, process }))).code;
  };

  it('one that takes all it can, by two connections, leaves some to another and to the runtime', async () => {
    const greedy = [
      await agent.connect({ uid: 1001, port: 1025 }),
      await agent.connect({ uid: 1001, port: 1025 }),
    ];
    const codes: string[] = [];
    for (let n = 0; n < 8; n += 1) codes.push(await exec((greedy[n % 2] ?? assert.fail()).agent));
    assert.deepEqual(
      codes.map((code) => code === 'OK'),
      [true, true, true, true, false, false, false, false],
    );
    assert.equal(codes.at(-1), 'RESOURCE_EXHAUSTED');
    const other = (await agent.connect({ uid: 1002, port: 1025 })).agent;
    assert.equal(await exec(other), 'OK');
    assert.equal(await exec(host), 'OK');
    // The runtime has what is left, as if there were no others.
    assert.equal(await exec(host), 'OK');
    assert.equal(await exec(host), 'OK');
    assert.equal(await exec(host), 'RESOURCE_EXHAUSTED');
  });
});
