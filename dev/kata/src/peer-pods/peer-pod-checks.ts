// The checks of the part `remote`.
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@kata-agent/tool-command/command-line';
import { type Checks, expect } from '../plan/part.js';
import type { Containerd } from '../cri/containerd.js';
import { pauseProcess, registryMarker } from '../cri/image.js';
import { shimProgram } from '../cri/with-shim.js';
import { machineInterface, podInterface } from './peer-machine.js';
import type { PeerNode, PeerPod } from './peer-node.js';
import { Registry } from './registry.js';
import { differenceFromCatalogue, recordedSequence, remoteContainers, sequenceOf } from './remote-calls.js';

/** Runs a pod from its start to its end. */
export async function runPeerPod(
  checks: Checks,
  { containerd, hypervisor, registry, image }: PeerNode,
  { running, address, machine }: PeerPod,
): Promise<void> {
  const begin = hypervisor.calls.length;
  await checks.run('pod starts', () => running.start(), { required: true });
  await checks.run('CreateVM has the name of the pod, and StartVM follows', async () => {
    const [create, start] = hypervisor.calls.slice(begin);
    expect(create?.method === 'CreateVM' && start?.method === 'StartVM', 'other calls');
    const name = create?.annotations?.['io.kubernetes.cri.sandbox-name'];
    expect(name === 'peer-pod', `the name is ${name}`);
  });
  await checks.run('pause container is that of /pause_bundle', async () => {
    const processes = machine().processes.filter((line) => /sleep \d{7}/.test(line));
    expect(processes.join() === pauseProcess.join(' '), processes.join('; '));
  });
  await checks.run('image is the one that the guest pulled', async () => {
    const text = await running.exec(['cat', registryMarker.path]);
    expect(text.trim() === registryMarker.text, text);
    const digest = image.split('@')[1] ?? '';
    const line = machine().log.find((each) => each.includes('an image was fetched and verified'));
    expect(line?.includes(digest) === true, `the log of the agent has no such image: ${line}`);
  });
  await checks.run('registry had requests of this guest only', async () => {
    const own = registry.pulls.filter((line) => line.startsWith(`${address} `));
    expect(own.length >= 4, `${own.length} requests of the guest: ${registry.pulls.join('; ')}`);
    const others = registry.pulls.filter(
      (line) => !line.startsWith('192.0.2.') || line.startsWith(Registry.address),
    );
    expect(others.length === 0, others.join('; '));
  });
  const isForwarded = (): boolean => machine().forwarder !== undefined;
  await checks.run('containers are in the network namespace of the pod', async () => {
    const interfaces = (await running.exec(['ls', '/sys/class/net'])).trim().split(/\s+/);
    const wanted = isForwarded() ? podInterface : machineInterface;
    const other = isForwarded() ? machineInterface : podInterface;
    expect(interfaces.includes(wanted) && !interfaces.includes(other), interfaces.join());
  });
  await checks.run('log has the output, with the environment', () => running.logged(/^started green$/m));
  await checks.run('exec returns output and exit code', async () => {
    expect((await running.exec(['sh', '-c', 'echo out'])) === 'out\n', 'other output');
    expect((await running.exitCode(['sh', '-c', 'exit 5'])) === 5, 'another exit code');
  });
  await checks.run('exec returns 3 MB of output', async () => {
    const text = await running.exec(['sh', '-c', 'dd if=/dev/zero bs=1000 count=3000 2>/dev/null']);
    expect(text.length === 3_000_000, `${text.length} bytes`);
  });
  await checks.run('stats have the memory in use', async () => {
    expect((await running.memory()) > 0n, 'the working set is 0');
  });
  await checks.run('files of a config map were copied', async () => {
    expect((await running.exec(['cat', '/settings/colour'])) === 'green\n', 'other text');
  });
  await checks.run('volume emptyDir is in the memory of the guest', async () => {
    await running.exec(['sh', '-c', 'echo x > /scratch/x']);
    const line = await running.exec(['sh', '-c', 'grep " /scratch " /proc/mounts']);
    expect(line.split(' ')[2] === 'tmpfs', line);
  });
  await checks.run('container is removed, and nothing of it is left in the guest', async () => {
    const id = running.id();
    const ofContainer = (lines: readonly string[]): readonly string[] =>
      lines.filter((line) => line.includes(id));
    expect(ofContainer(machine().mounts).length > 0, 'the container has no mounts');
    await running.removeContainers();
    const left = [...machine().mounts, ...machine().bundles];
    expect(ofContainer(left).length === 0, ofContainer(left).join('; '));
    const processes = machine().processes.filter((line) => line.includes('started'));
    expect(processes.length === 0, processes.join('; '));
  });
  await checks.run('sandbox is removed, and StopVM ends the machine', async () => {
    await running.remove();
    expect(hypervisor.calls.at(-1)?.method === 'StopVM', 'no StopVM');
    expect(hypervisor.machines === 0 && machine().hasEnded, 'the machine has not ended');
  });
  await checks.run('no shim is left', () => noShim(containerd));
  // What a failed check has left.
  await running.remove();
  if (checks.hasStopped) return;
  const calls = machine().forwarder?.calls;
  if (calls === undefined) return;
  await checks.run('shim made the recorded calls', async () => {
    const sequence = sequenceOf(calls);
    expect(sequence.join() === recordedSequence.join(), sequence.join());
    const difference = differenceFromCatalogue(calls);
    expect(difference.length === 0, difference.join('; '));
  });
  await checks.run('shim sent images as storages, and no network', async () => {
    const root = '/run/kata-containers/ID/rootfs';
    const wanted = ['pause', image].map((source) => ({
      root,
      rootStorage: { driver: 'image_guest_pull', source, mountPoint: root },
      namespaces: ['ipc', 'uts', 'mount'],
    }));
    const sent = remoteContainers(calls);
    expect(JSON.stringify(sent) === JSON.stringify(wanted), JSON.stringify(sent));
  });
}

/** Runs a pod that the agent denies. `reason`: in the error that the caller of CRI gets. */
export async function runDeniedPod(
  checks: Checks,
  { containerd, hypervisor, registry }: PeerNode,
  { running, machine }: PeerPod,
  reason: RegExp,
): Promise<void> {
  const before = registry.pulls.length;
  await checks.run('pod is denied, with the reason', async () => {
    const message = await running.start().then(() => 'it started', messageOf);
    expect(reason.test(message), message);
  });
  await checks.run('nothing was pulled', () => {
    const pulls = registry.pulls.slice(before);
    expect(pulls.length === 0, pulls.join('; '));
  });
  await checks.run('sandbox is removed, and StopVM ends the machine', async () => {
    await running.remove();
    expect(hypervisor.machines === 0 && machine().hasEnded, 'the machine has not ended');
  });
  await checks.run('no shim is left', () => noShim(containerd));
}

/** Runs a pod whose first pull hangs until the shim's time limit, and whose second one does not, as the kubelet repeats it. */
export async function runPodTwice(
  checks: Checks,
  { containerd, hypervisor, registry }: PeerNode,
  { running, machine }: PeerPod,
): Promise<void> {
  const pulling = (): readonly string[] =>
    machine().processes.filter((line) => /\.m?js (?:confine|pull|unpack)\b/.test(line));
  await checks.run(
    'pull ends at the time limit of the shim',
    async () => {
      const message = await registry.whileHanging(async () => {
        const started = running.start().then(() => 'it started', messageOf);
        const isPulling = (): boolean =>
          hypervisor.machines === 1 && machine().isReady && pulling().length > 0;
        await running.reaches(() => Promise.resolve(isPulling()));
        return started;
      });
      expect(/timed out|deadline/i.test(message), message);
    },
    { required: true },
  );
  await checks.run('nothing of it is left in the guest', async () => {
    const id = running.id();
    const left = (): readonly string[] => [
      ...pulling(),
      ...[...machine().mounts, ...machine().bundles].filter((line) => line.includes(id)),
    ];
    await running
      .reaches(() => Promise.resolve(left().length === 0))
      .catch(() => {
        throw new Error(left().join('; '));
      });
  });
  await checks.run('container starts when it is created again', async () => {
    await running.removeContainers();
    await running.startContainers();
    await running.logged(/^started green$/m);
  });
  await checks.run('pod is removed', () => running.remove());
  await checks.run('no shim is left', () => noShim(containerd));
  await running.remove();
}

async function noShim(containerd: Containerd): Promise<void> {
  await sleep(1000);
  const left = containerd.processes(shimProgram);
  expect(left.length === 0, left.join('; '));
}
