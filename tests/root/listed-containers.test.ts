import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Management } from '@kata-agent/protocol/management';
import { createClient } from '@kata-agent/ttrpc';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { ctlProgram } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const config = `[api]
release = "4.1"
allowed_endpoints = ["*"]

[[listener]]
name = "host"
address = "vsock://-1:1024"
allowed_endpoints = ["*"]

[[listener]]
name = "tenant"
address = "vsock://-1:1025"
allowed_endpoints = ["@exec"]
management = ["ListContainers"]
`;

describe('the list of containers', { skip: whyNoContainers() ?? false }, () => {
  const id = (name: string): string => `lc-${process.pid}-${name}`;
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-list-'));
  let agent: AgentProcess;
  let host: AgentConnection['agent'];
  before(async () => {
    agent = await AgentProcess.start({ config });
    host = (await agent.connect()).agent;
    await host.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  async function create(name: string, claimed: string, args: readonly string[]): Promise<void> {
    const annotations = { 'io.kubernetes.cri.container-name': claimed };
    const rootfs = makeRootfs(join(directory, name));
    await host.createContainer(containerRequest({ id: id(name), rootfs, args: [...args], annotations }));
  }

  async function ps(): Promise<string> {
    const address = `unix://${join(agent.directory, '1025.sock')}`;
    const { stdout } = await promisify(execFile)(process.execPath, [ctlProgram, 'ps', '-a', address]);
    return stdout.replaceAll(/ +/g, ' ');
  }

  it('has no container at first', async () => {
    assert.equal(await ps(), 'NAME STATE EXECS ID\n');
  });

  it('has each with its state, and what has ended with its exit code', async () => {
    await create('b', 'app', ['sleep', '1000']);
    await create('a', 'init', ['sh', '-c', 'exit 3']);
    const created = `NAME STATE EXECS ID\napp created 0 ${id('b')}\ninit created 0 ${id('a')}\n`;
    assert.equal(await ps(), created);
    await host.startContainer({ containerId: id('b') });
    await host.startContainer({ containerId: id('a') });
    await host.waitProcess({ containerId: id('a') });
    const exec = async (execId: string, args: string[]): Promise<void> => {
      await host.execProcess({ containerId: id('b'), execId, process: processRequest(args) });
    };
    await exec('runs', ['sleep', '1000']);
    await exec('ends', ['true']);
    await host.waitProcess({ containerId: id('b'), execId: 'ends' });
    await host.pauseContainer({ containerId: id('b') });
    assert.equal(
      await ps(),
      `NAME STATE EXECS ID\napp paused 1, 1 ended ${id('b')}\ninit stopped 3 0 ${id('a')}\n`,
    );
    await host.resumeContainer({ containerId: id('b') });
    await host.removeContainer({ containerId: id('b') });
    await host.removeContainer({ containerId: id('a') });
    assert.equal(await ps(), 'NAME STATE EXECS ID\n');
  });

  it('is not made too large, or a terminal’s commands, by names that the host chooses', async () => {
    await create('long', `\u001b[2J${'x'.repeat(2 ** 20)}`, ['true']);
    assert.equal((await ps()).split('\n')[1], `\\u001b[2J${'x'.repeat(249)} created 0 ${id('long')}`);
    await host.removeContainer({ containerId: id('long') });
  });

  it('is for those whose management names it', async () => {
    const { channel } = await agent.connect();
    await assert.rejects(createClient(Management, channel).listContainers({}), {
      message: /not in management of the listener "host"/,
    });
  });
});
