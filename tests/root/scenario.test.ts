import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { AgentProcess } from '../harness/agent-process.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { detach, grownDisk, imageDisk, plainDisk } from './scenario-disk.js';
import { Router } from './scenario-router.js';
import { type Runtime, runScenario } from './scenario-run.js';

const runtimes: readonly Runtime[] = ['go', 'rs'];

for (const runtime of runtimes) {
  describe(`scenarios in the call order of ${runtime}`, {
    skip: whyNoContainers('e2fsprogs', 'xfsprogs', 'erofs-utils', 'iproute2', 'iptables') ?? false,
  }, () => {
    it('a pod shares the namespaces of its pause container, and calls come in the order of the runtime', async () => {
      const { failures, calls } = await runScenario({ name: 'shared-namespaces', runtime });
      assert.deepEqual(failures, []);
      assert.deepEqual(
        // Both streams end concurrently, in either order.
        calls
          .filter(({ about, method }) => about === 'pause' && !method.startsWith('Read'))
          .map(({ method }) => method),
        runtime === 'go'
          ? [
              'CreateContainer',
              'OnlineCPUMem',
              'StartContainer',
              'SignalProcess',
              'WaitProcess',
              'RemoveContainer',
              'RemoveStaleVirtiofsShareMounts',
            ]
          : [
              'OnlineCPUMem',
              'CreateContainer',
              'StartContainer',
              'SignalProcess',
              'WaitProcess',
              'RemoveContainer',
            ],
      );
    });

    it('a pod without a shared file system gets copied files', async () => {
      const { calls } = await runScenario({
        name: 'copied-files',
        runtime,
        // Copied files belong to the sandbox: a recreated container finds them.
        kept: /^kata-containers(\/shared.*)?$/,
      });
      assert.ok(calls.filter(({ method }) => method === 'CopyFile').length > 250);
    });

    it('a pod uses disks, memory volumes and a ConfigMap that changes', async () => {
      const disks: string[] = [];
      try {
        await runScenario({
          name: 'volumes',
          runtime,
          // An emptyDir belongs to the pod.
          kept: /kata-containers(\/sandbox(\/ephemeral.*)?)?$|^kata-agent\/storages\.json$/,
          prepare: (_, directory) => {
            const attach = (disk: string): string => {
              disks.push(disk);
              return disk;
            };
            return {
              ext4: attach(plainDisk(directory)),
              // An ext4 grows only with CAP_SYS_RESOURCE, which test machines may lack.
              xfs: attach(grownDisk(directory)),
              erofs: attach(imageDisk(directory)),
              share: directory,
            };
          },
        });
      } finally {
        for (const disk of disks) detach(disk);
      }
    });

    it('the kernel has the interface, routes, neighbours and packet filter of the requests', async () => {
      let router: Router | undefined;
      try {
        await runScenario({
          name: 'network',
          runtime,
          ofMachine: ['links'],
          prepare: async (agent) => {
            router = await Router.join(agent.process.pid ?? 0);
            return { mac: Router.mac, address: '10.231.1.2', gateway: Router.address };
          },
          before: (phase, agent) => {
            if (phase !== 'stop') return;
            const output = (...command: readonly string[]): string => inNetworkOf(agent, ...command);
            assert.match(output('ip', 'address', 'show', 'eth0'), /mtu 1450 .*state UP/);
            assert.match(
              output('ip', 'address', 'show', 'eth0'),
              /inet 10\.231\.1\.2\/24 .*inet6 fd00:231::2\/64/s,
            );
            assert.match(output('ip', 'route'), /^default via 10\.231\.1\.1 dev eth0/m);
            assert.match(output('ip', 'route'), /^192\.0\.2\.0\/24 via 10\.231\.1\.1 dev eth0/m);
            assert.match(
              output('ip', 'neigh'),
              /198\.51\.100\.7 dev eth0 lladdr 02:00:00:00:0b:77 PERMANENT/,
            );
            assert.match(output('iptables', '-nvL', 'OUTPUT'), /^ +[1-9]\d* .* REJECT .* dpt:7791/m);
            assert.doesNotMatch(output('iptables-save'), /NOWHERE/);
          },
        });
      } finally {
        router?.close();
      }
    });

    it('limits of a container change, and an OOM kill is reported once', async () => {
      const { calls } = await runScenario({
        name: 'limits',
        runtime,
        before: (phase) => {
          if (phase !== 'stop') return;
          const cgroup = `kata-scenario-${process.pid}-${runtime}/app`;
          assert.equal(readCgroup('cpu', cgroup, 'cpu.cfs_quota_us'), '50000');
          assert.equal(readCgroup('cpu', cgroup, 'cpu.shares'), '512');
          assert.equal(readCgroup('memory', cgroup, 'memory.limit_in_bytes'), '50331648');
        },
      });
      const events = calls.filter(({ method, status }) => method === 'GetOOMEvent' && status === 'OK');
      assert.equal(events.length, 1);
    });
  });
}

function inNetworkOf(agent: AgentProcess, ...command: readonly string[]): string {
  const pid = String(agent.process.pid);
  return execFileSync('nsenter', ['--net', '--target', pid, ...command], { encoding: 'utf8' });
}

function readCgroup(controller: string, cgroup: string, file: string): string {
  return readFileSync(`/sys/fs/cgroup/${controller}/${cgroup}/${file}`, 'utf8').trim();
}
