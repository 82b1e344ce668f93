import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { whyNoContainers } from '../harness/rootfs.js';

/** Makes the agent's cgroups hybrid, as far as the choice of the runtime is concerned. */
const hybrid =
  'mount -t tmpfs cgroup /sys/fs/cgroup && mkdir /sys/fs/cgroup/unified && touch /sys/fs/cgroup/unified/cgroup.controllers';

it('with hybrid cgroups, which crun refuses, runc is used; the agent log and the first audit record say so', {
  skip: whyNoContainers('runc', 'crun') ?? false,
}, async () => {
  const config =
    '[agent]\noci_runtime = "/usr/bin/crun"\n[api]\nallowed_endpoints = ["@pod", "GetGuestDetails"]\n';
  const agent = await AgentProcess.start({ config, setup: hybrid });
  try {
    const { agent: client } = await agent.connect();
    await client.getGuestDetails({});
    const output = agent.log.filter((line) => line.includes('refuses hybrid cgroups'));
    assert.equal(output.length, 1, agent.log.join('\n'));
    assert.match(
      output[0] ?? '',
      /"level":"WARN".*the OCI runtime is \/usr\/sbin\/runc: \/usr\/bin\/crun refuses hybrid/,
    );
    assert.ok(agent.log.some((line) => line.includes('OCI runtime /usr/sbin/runc, version 1')));
    const [boot] = agent.records();
    const facts = boot?.['facts'] as Readonly<Record<string, unknown>> | undefined;
    assert.deepEqual(facts?.['ociRuntime'], {
      path: '/usr/sbin/runc',
      instead: '/usr/bin/crun refuses hybrid cgroups, of v1 with a cgroup2 mount at /sys/fs/cgroup/unified',
    });
  } finally {
    await agent.dispose();
  }
});
