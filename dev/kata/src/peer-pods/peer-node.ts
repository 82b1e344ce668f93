// A node with peer pods: containerd with the shim, a registry, and the service behind the remote hypervisor.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Containerd } from '../cri/containerd.js';
import type { GrpcConnection } from '../cri/grpc.js';
import { makePauseBundle, makeRegistryImage, renamedImageName } from '../cri/image.js';
import { withShim } from '../cri/with-shim.js';
import { given, type PartContext, type TestResult } from '../plan/part.js';
import type { Manifests, Pod } from '../workloads/manifests.js';
import { RunningPod } from '../workloads/running-pod.js';
import { withImageSettings, writeRemoteConfiguration } from './remote-configuration.js';
import { PeerMachine } from './peer-machine.js';
import { Registry } from './registry.js';
import { RemoteHypervisor } from './remote-hypervisor.js';

const repository = 'team/app';

export interface PeerPodOptions {
  /** The name of a directory for the pod. */
  readonly name: string;
  /** The image of its containers; by default `image` of the node. */
  readonly image?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Whether a forwarder is between shim and agent. */
  readonly forwarded: boolean;
  /** Returns the configuration of the agent, to which the settings of images are added. */
  readonly configuration: (directory: string) => string;
}

/** A pod that has not started. */
export interface PeerPod {
  readonly running: RunningPod;
  /** The address of its machine. */
  readonly address: string;
  /** Returns its machine. Throws before CreateVM. */
  readonly machine: () => PeerMachine;
}

export class PeerNode {
  readonly containerd: Containerd;
  readonly registry: Registry;
  readonly hypervisor: RemoteHypervisor;
  /** The reference of the image in the registry. */
  readonly image: string;
  readonly #cri: GrpcConnection;
  readonly #directory: string;
  readonly #pauseBundle: string;
  #pods = 0;

  constructor(
    parts: {
      readonly containerd: Containerd;
      readonly cri: GrpcConnection;
      readonly registry: Registry;
      readonly hypervisor: RemoteHypervisor;
    },
    directory: string,
  ) {
    this.containerd = parts.containerd;
    this.registry = parts.registry;
    this.hypervisor = parts.hypervisor;
    this.#cri = parts.cri;
    this.#directory = directory;
    this.#pauseBundle = makePauseBundle(directory);
    this.image = this.registry.push(makeRegistryImage(directory), repository);
    // The node has another image by this name: what the pod runs shows who pulled it.
    this.containerd.rename(renamedImageName, this.image);
  }

  /** Makes a pod, whose machine is the next one that the shim creates. */
  pod({ name, image = this.image, annotations = {}, forwarded, configuration }: PeerPodOptions): PeerPod {
    const work = join(this.#directory, name);
    mkdirSync(work);
    this.#pods += 1;
    const address = `192.0.2.${this.#pods + 1}`;
    const annotated = { ...pod, metadata: { ...pod.metadata, annotations } };
    let machine: PeerMachine | undefined;
    const text = withImageSettings(configuration(work), imageSettings(this.registry));
    this.hypervisor.createMachine = () => {
      machine = new PeerMachine({
        directory: join(work, 'machine'),
        configuration: text,
        pauseBundle: this.#pauseBundle,
        hostPid: this.containerd.pid,
        registryAddress: Registry.address,
        address,
        forwarded,
      });
      return machine;
    };
    return {
      running: new RunningPod(annotated, manifests, this.#cri, this.containerd, work, image),
      address,
      machine: () => {
        if (machine === undefined) throw new Error('the pod has no machine');
        return machine;
      },
    };
  }
}

/** Runs a task with a node. */
export async function withPeerNode(
  context: PartContext,
  task: (node: PeerNode) => Promise<readonly TestResult[]>,
): Promise<readonly TestResult[]> {
  const socket = join(context.work, 'hypervisor.sock');
  const hypervisor = await RemoteHypervisor.start(socket);
  try {
    return await withShim(
      context,
      'remote',
      async (cri, containerd, directory) => {
        const registry = await Registry.start(join(directory, 'registry'), containerd.pid);
        try {
          return await task(new PeerNode({ containerd, cri, registry, hypervisor }, directory));
        } finally {
          // Before the cgroups are removed.
          await hypervisor.stop();
          await registry.stop();
        }
      },
      {
        programs: [
          ['docker-registry', 'docker-registry'],
          ['skopeo', 'skopeo'],
          ['openssl', 'openssl'],
        ],
        // The shim would plug a root on a disk of the host into the machine, which a remote hypervisor cannot.
        snapshotter: 'overlayfs',
        writeConfiguration: (directory) =>
          writeRemoteConfiguration(
            given(context.remoteConfiguration, '--remote-configuration'),
            directory,
            socket,
          ),
      },
    );
  } finally {
    await hypervisor.stop();
  }
}

function imageSettings({ certificate }: Registry): Readonly<Record<string, string>> {
  return {
    puller: '"built-in"',
    registries: `["${Registry.host}/${repository}"]`,
    registry_ca: `"${certificate}"`,
    require_digest: 'true',
    max_size: '"64MiB"',
  };
}

// The pod of the part `remote`, with a volume of each kind that a guest without a shared directory handles by itself.

export const manifests: Manifests = {
  pods: [],
  configMaps: new Map([['settings', { colour: 'green\n' }]]),
  secrets: new Map(),
};

/** Its image is given to the runner. */
export const pod: Pod = {
  metadata: { name: 'peer-pod' },
  spec: {
    dnsPolicy: 'None',
    dnsConfig: { nameservers: ['192.0.2.53'] },
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
