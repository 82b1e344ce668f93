import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { LinuxCPUSchema, LinuxResourcesSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readUntil } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

/** Of the whole guest. Tests write the value that it has. */
const guestSysctl = 'kernel.randomize_va_space';
const value = readFileSync('/proc/sys/kernel/randomize_va_space', 'utf8').trim();

describe('what Kata’s agent accepts', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];
  let count = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-as-kata-'));
    rootfs = makeRootfs(directory);
    process = await AgentProcess.start();
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await process.dispose();
    rmSync(directory, { recursive: true });
  });

  function requestOf(args: readonly string[]): CreateContainerRequest {
    const id = `k${++count}-${globalThis.process.pid}`;
    return create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
  }
  const limited = (Cpus: string) =>
    create(LinuxResourcesSchema, { CPU: create(LinuxCPUSchema, { Cpus, Shares: 512n }) });

  it('a cpuset with CPUs that the guest does not have: those that it has are set, and a warning names the others', async () => {
    const request = requestOf(['sh', '-c', 'busybox grep Cpus_allowed_list /proc/self/status; sleep 600']);
    const { OCI, containerId } = request;
    assert.ok(OCI?.Linux);
    OCI.Linux.Resources = limited('0,900-901');
    await agent.createContainer(request);
    await agent.startContainer({ containerId });
    assert.match(await readUntil(agent, containerId, '\n'), /^Cpus_allowed_list:\s+0\n$/);
    await agent.updateContainer({ containerId, resources: limited('0,902') });
    await agent.updateContainer({ containerId, resources: limited('903') });
    for (const missing of ['900-901', '902', '903'])
      assert.ok(
        process.log.some((line) => line.includes(`CPUs ${missing} of the container's cpuset are left out`)),
        missing,
      );
    await agent.removeContainer({ containerId });
  });

  it('UpdateContainer without resources changes nothing, as with Kata’s agent', async () => {
    const request = requestOf(['sleep', '600']);
    const { containerId } = request;
    await agent.createContainer(request);
    await agent.updateContainer({ containerId });
    assert.notEqual((await answerOf(agent.updateContainer({ containerId: 'unknown' }))).code, 'OK');
    await agent.removeContainer({ containerId });
  });

  it('a sysctl of the whole guest is invalid, as with Kata’s agent, unless the configuration names it', async () => {
    const request = requestOf(['true']);
    assert.ok(request.OCI?.Linux);
    request.OCI.Linux.Sysctl = { [guestSysctl]: value };
    const { code, message } = await answerOf(agent.createContainer(request));
    assert.equal(code, 'INVALID_ARGUMENT');
    assert.match(message, /or add it to sysctls = \["kernel\.randomize_va_space"\]/);
    const config = `[agent]\nsysctls = ["${guestSysctl}", "kernel.core_pattern"]\n[api]\nallowed_endpoints = ["@pod"]\n`;
    const other = await AgentProcess.start({ config });
    try {
      const { agent: client } = await other.connect();
      await client.createSandbox({ sandboxId: 'pod' });
      await client.createContainer(request);
      await client.removeContainer({ containerId: request.containerId });
      request.containerId += '-second';
      request.OCI.Linux.Sysctl = { 'kernel.core_pattern': '|/bin/sh' };
      const refused = await answerOf(client.createContainer(request));
      assert.match(
        `${refused.code} ${refused.message}`,
        /^PERMISSION_DENIED .*makes the kernel run a program/,
      );
    } finally {
      await other.dispose();
    }
  });
});
