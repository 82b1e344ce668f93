// The part `remote`: pods whose machine is beside the node, as peer pods have it. The Go shim with its remote hypervisor; the guest
// takes the pause container from its own /pause_bundle and pulls the image from a registry.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Checks } from '../checks.js';
import type { Containerd } from '../cri/containerd.js';
import type { GrpcConnection } from '../cri/grpc.js';
import {
  makePauseBundle,
  makeRegistryImage,
  pauseProcess,
  registryMarker,
  renamedImageName,
} from '../cri/image.js';
import { Registry } from '../cri/registry.js';
import { shimProgram, withShim } from '../cri/with-shim.js';
import { expect } from '../expect.js';
import { machineInterface, PeerMachine, podInterface } from '../guest/peer-machine.js';
import { writeRemoteConfiguration } from '../guest/remote-configuration.js';
import { RemoteHypervisor } from '../guest/remote-hypervisor.js';
import type { PartContext, TestResult } from '../part.js';
import { generatedConfiguration } from '../workloads/generated-configuration.js';
import type { Manifests, Pod } from '../workloads/manifests.js';
import { RunningPod } from '../workloads/running-pod.js';

const repository = 'team/app';

/** What one pod of the part has. */
interface Way {
  readonly name: string;
  /** Whether a forwarder is between shim and agent. */
  readonly forwarded: boolean;
  /** Returns the configuration of the agent. */
  readonly configuration: (image: string, directory: string) => string;
}

const manifests: Manifests = {
  pods: [],
  configMaps: new Map([['settings', { colour: 'green\n' }]]),
  secrets: new Map(),
};

const ways: readonly Way[] = [
  {
    name: 'the agent itself',
    forwarded: false,
    configuration: () => '[agent]\n\n[api]\nallowed_endpoints = ["*"]\n',
  },
  {
    name: 'a forwarder, generated configuration',
    forwarded: true,
    configuration: (image, directory) => {
      const generated = generatedConfiguration(pod, manifests, directory, { runtime: 'remote', image });
      if ('refused' in generated) throw new Error(generated.refused);
      return generated.text;
    },
  },
];

/** Runs a pod in each way. */
export async function runRemote(context: PartContext): Promise<readonly TestResult[]> {
  let hypervisor: RemoteHypervisor | undefined;
  let createMachine: () => PeerMachine = () => {
    throw new Error('no pod was started');
  };
  const started = (): RemoteHypervisor => {
    if (hypervisor === undefined) throw new Error('the remote hypervisor was not started');
    return hypervisor;
  };
  const task = async (
    cri: GrpcConnection,
    containerd: Containerd,
    directory: string,
  ): Promise<readonly TestResult[]> => {
    const registry = await Registry.start(join(directory, 'registry'), containerd.pid);
    try {
      const image = registry.push(makeRegistryImage(directory), repository);
      // The host has another image by this name: what the pod runs shows who pulled it.
      containerd.rename(renamedImageName, image);
      const pauseBundle = makePauseBundle(directory);
      const results: TestResult[] = [];
      for (const [index, way] of ways.entries()) {
        const work = join(directory, `pod-${index + 1}`);
        mkdirSync(work);
        const address = `10.77.0.${index + 2}`;
        const configuration = `${way.configuration(image, work)}\n${imageSettings(registry)}`;
        let machine: PeerMachine | undefined;
        createMachine = () => {
          machine = new PeerMachine({
            directory: join(work, 'machine'),
            configuration,
            pauseBundle,
            hostPid: containerd.pid,
            registryAddress: Registry.address,
            address,
            forwarded: way.forwarded,
          });
          return machine;
        };
        const machineOf = (): PeerMachine => {
          if (machine === undefined) throw new Error('the pod has no machine');
          return machine;
        };
        const running = new RunningPod(pod, manifests, cri, containerd, work, image);
        const checks = new Checks(`${way.name}: `);
        const run = {
          way,
          running,
          image,
          address,
          work,
          containerd,
          registry,
          hypervisor: started(),
          machine: machineOf,
        };
        await runPod(checks, run).finally(() => running.remove());
        results.push(...checks.results);
      }
      return results;
    } finally {
      await registry.stop();
    }
  };
  try {
    return await withShim(context, 'remote', task, {
      programs: [
        ['docker-registry', 'docker-registry'],
        ['skopeo', 'skopeo'],
        ['openssl', 'openssl'],
      ],
      // The shim would plug a root on a disk of the host into the machine, which a remote hypervisor cannot.
      snapshotter: 'overlayfs',
      writeConfiguration: async (directory) => {
        hypervisor = await RemoteHypervisor.start(directory, () => createMachine());
        return writeRemoteConfiguration(context.copy, directory, hypervisor.socket);
      },
    });
  } finally {
    await hypervisor?.stop();
  }
}

function imageSettings({ certificate }: Registry): string {
  return `[image]
puller = "built-in"
registries = ["${Registry.host}/${repository}"]
registry_ca = "${certificate}"
require_digest = true
max_size = "64MiB"
`;
}

/** Its image is given to the runner. */
const pod: Pod = {
  metadata: { name: 'peer-pod' },
  spec: {
    containers: [
      {
        name: 'main',
        command: ['/bin/sh', '-c', 'trap "exit 3" TERM; echo started $COLOR; while :; do sleep 0.1; done'],
        env: [{ name: 'COLOR', value: 'green' }],
        resources: { limits: { memory: '64Mi' } },
        volumeMounts: [
          { name: 'settings', mountPath: '/settings' },
          { name: 'scratch', mountPath: '/scratch' },
        ],
      },
    ],
    volumes: [
      { name: 'settings', configMap: { name: 'settings' } },
      { name: 'scratch', emptyDir: {} },
    ],
  },
};

interface Run {
  readonly way: Way;
  readonly running: RunningPod;
  readonly image: string;
  readonly address: string;
  /** A directory for the pod. */
  readonly work: string;
  readonly containerd: Containerd;
  readonly registry: Registry;
  readonly hypervisor: RemoteHypervisor;
  /** Returns the machine of the pod. Throws if it has none. */
  readonly machine: () => PeerMachine;
}

async function runPod(checks: Checks, run: Run): Promise<void> {
  const { running, containerd, hypervisor, machine } = run;
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
    const digest = run.image.split('@')[1] ?? '';
    const line = machine().log.find((each) => each.includes('an image was fetched and verified'));
    expect(line?.includes(digest) === true, `the log of the agent has no such image: ${line}`);
  });
  await checks.run('registry had requests of this guest only', async () => {
    const own = run.registry.pulls.filter((line) => line.startsWith(`${run.address} `));
    expect(own.length >= 4, `${own.length} requests of the guest: ${run.registry.pulls.join('; ')}`);
    const others = run.registry.pulls.filter(
      (line) => !line.startsWith('10.77.0.') || line.startsWith(Registry.address),
    );
    expect(others.length === 0, others.join('; '));
  });
  await checks.run('containers are in the network namespace of the pod', async () => {
    const interfaces = (await running.exec(['ls', '/sys/class/net'])).trim().split(/\s+/);
    const wanted = run.way.forwarded ? podInterface : machineInterface;
    const other = run.way.forwarded ? machineInterface : podInterface;
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
  await checks.run('no shim is left', async () => {
    await sleep(1000);
    const left = containerd.processes(shimProgram);
    expect(left.length === 0, left.join('; '));
  });
}
