// A pod that runs through CRI as the kubelet would run it, without network.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Containerd } from '../cri/containerd.js';
import { runtimeHandler } from '../cri/containerd-configuration.js';
import { ContainerState, type PodSandboxConfigSchema, RuntimeService } from '../gen/cri_pb.js';
import type { GrpcConnection } from '../cri/grpc.js';
import { imageName } from '../cri/image.js';
import { containerConfig, sandboxConfig } from './cri-config.js';
import type { Container, Manifests, Pod } from './manifests.js';
import { makeVolume, nestedMountPoints } from './volumes.js';

const { method } = RuntimeService;

/** Seconds in which a container must print, end or fail, as a test expects. */
const patience = 40;

/** Seconds between SIGTERM and SIGKILL: the shells of most of these pods do not end at SIGTERM. */
const graceSeconds = 1n;

export interface Ended {
  readonly exitCode: number;
  readonly reason: string;
}

export class RunningPod {
  readonly pod: Pod;
  readonly #manifests: Manifests;
  readonly #cri: GrpcConnection;
  readonly #containerd: Containerd;
  readonly #directory: string;
  readonly #image: string;
  readonly #volumes = new Map<string, string>();
  readonly #ids = new Map<string, string>();
  readonly #config: MessageInitShape<typeof PodSandboxConfigSchema>;
  #sandbox = '';

  /** `directory`: for the kubelet's files and the logs of the pod. `image`: of all containers. */
  constructor(
    pod: Pod,
    manifests: Manifests,
    cri: GrpcConnection,
    containerd: Containerd,
    directory: string,
    image: string = imageName,
  ) {
    this.#image = image;
    this.pod = withServiceAccount(pod);
    this.#manifests = withServiceAccountFiles(manifests);
    this.#cri = cri;
    this.#containerd = containerd;
    this.#directory = join(directory, 'pods', `${pod.metadata.name}-uid`);
    mkdirSync(this.#directory, { recursive: true });
    this.#config = sandboxConfig(this.pod, join(directory, 'logs', pod.metadata.name));
  }

  /** Starts the sandbox, runs the init containers to their end, and starts the containers. */
  async start(): Promise<void> {
    for (const volume of this.pod.spec.volumes ?? []) {
      const path = makeVolume(volume, {
        podDirectory: this.#directory,
        manifests: this.#manifests,
        fsGroup: this.pod.spec.securityContext?.fsGroup,
        runInside: (...command) => this.#containerd.runInside(command),
      });
      this.#volumes.set(volume.name, path);
      if (volume.hostPath === undefined)
        for (const point of nestedMountPoints(this.pod, volume.name))
          this.#containerd.runInside(['mkdir', '-p', join(path, point)]);
    }
    const { podSandboxId } = await this.#cri.call(method.runPodSandbox, {
      config: this.#config,
      runtimeHandler,
    });
    this.#sandbox = podSandboxId;
    for (const container of this.pod.spec.initContainers ?? []) {
      await this.#startContainer(container, `init-${container.name}`);
      const { exitCode } = await this.ended(`init-${container.name}`);
      if (exitCode !== 0) throw new Error(`init container ${container.name} ended with ${exitCode}`);
    }
    await this.startContainers();
  }

  /** Starts the containers of the pod, whose sandbox and init containers have started. */
  async startContainers(): Promise<void> {
    for (const container of this.pod.spec.containers) {
      await this.#startContainer(container, container.name);
      const postStart = container.lifecycle?.postStart?.exec;
      if (postStart !== undefined) await this.exec(postStart.command, container.name);
    }
  }

  /** Stops and removes the containers that have started, and the sandbox. */
  async remove(): Promise<void> {
    await this.removeContainers();
    if (this.#sandbox === '') return;
    await this.#cri.call(method.stopPodSandbox, { podSandboxId: this.#sandbox });
    await this.#cri.call(method.removePodSandbox, { podSandboxId: this.#sandbox });
    this.#sandbox = '';
  }

  /** Stops and removes the containers that have started. */
  async removeContainers(): Promise<void> {
    for (const [name, containerId] of this.#ids) {
      const container = this.pod.spec.containers.find((each) => each.name === name);
      const preStop = container?.lifecycle?.preStop?.exec;
      if (preStop !== undefined) await this.exec(preStop.command, name);
      await this.#cri.call(method.stopContainer, { containerId, timeout: graceSeconds });
      // The answer to a stop may precede the event of the end, and the container cannot be removed before that.
      await this.ended(name);
      await this.#cri.call(method.removeContainer, { containerId });
      this.#ids.delete(name);
    }
  }

  /** The directory of a volume on the host. */
  volume(name: string): string {
    return this.#volumes.get(name) ?? '';
  }

  /** Runs a command in a container, by default in the first; returns its stdout. Throws if its exit code is not 0. */
  async exec(command: readonly string[], name: string = this.#first): Promise<string> {
    const { stdout, stderr, exitCode } = await this.#execSync(command, name);
    if (exitCode !== 0) throw new Error(`${command.join(' ')}: exit code ${exitCode}: ${stderr}`);
    return stdout;
  }

  /** Runs a command and returns its exit code. */
  async exitCode(command: readonly string[], name: string = this.#first): Promise<number> {
    return (await this.#execSync(command, name)).exitCode;
  }

  /** Waits until the log of a container matches. */
  async logged(pattern: RegExp, name: string = this.#first): Promise<void> {
    const file = join(this.#config.logDirectory ?? '', `${name}.log`);
    const text = (): string =>
      existsSync(file) ? readFileSync(file, 'utf8').replaceAll(/^\S+ std(?:out|err) [FP] /gm, '') : '';
    if (!(await isReached(() => Promise.resolve(pattern.test(text())))))
      throw new Error(`the log of ${name} has no ${pattern}: ${JSON.stringify(text().slice(-500))}`);
  }

  /** Waits for the end of a container. */
  async ended(name: string = this.#first): Promise<Ended> {
    let last: Ended | undefined;
    const isEnded = async (): Promise<boolean> => {
      const { status } = await this.#cri.call(method.containerStatus, { containerId: this.id(name) });
      if (status?.state !== ContainerState.CONTAINER_EXITED) return false;
      last = { exitCode: status.exitCode, reason: status.reason };
      return true;
    };
    await isReached(isEnded);
    if (last === undefined) throw new Error(`container ${name} did not end within ${patience} s`);
    return last;
  }

  /** Waits for a state. */
  async reaches(state: () => Promise<boolean>): Promise<void> {
    if (!(await isReached(state))) throw new Error(`the expected state was not reached within ${patience} s`);
  }

  /** Returns the bytes of memory that a container uses. */
  async memory(name: string = this.#first): Promise<bigint> {
    const { stats } = await this.#cri.call(method.containerStats, { containerId: this.id(name) });
    return stats?.memory?.workingSetBytes?.value ?? 0n;
  }

  async isRunning(name: string = this.#first): Promise<boolean> {
    const { status } = await this.#cri.call(method.containerStatus, { containerId: this.id(name) });
    return status?.state === ContainerState.CONTAINER_RUNNING;
  }

  get #first(): string {
    return this.pod.spec.containers[0]?.name ?? '';
  }

  /** The ID of a container. */
  id(name: string = this.#first): string {
    const id = this.#ids.get(name);
    if (id === undefined) throw new Error(`container ${name} was not created`);
    return id;
  }

  async #execSync(command: readonly string[], name: string) {
    const reply = await this.#cri.call(method.execSync, {
      containerId: this.id(name),
      cmd: [...command],
      timeout: 30n,
    });
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
    return { stdout: text(reply.stdout), stderr: text(reply.stderr), exitCode: reply.exitCode };
  }

  async #startContainer(container: Container, name: string): Promise<void> {
    const { containerId } = await this.#cri.call(method.createContainer, {
      podSandboxId: this.#sandbox,
      config: containerConfig(container, this.pod, this.#manifests, this.#onHost(name)),
      sandboxConfig: this.#config,
    });
    this.#ids.set(name, containerId);
    await this.#cri.call(method.startContainer, { containerId });
  }

  #onHost(name: string) {
    const directory = join(this.#directory, 'containers', name);
    mkdirSync(directory, { recursive: true });
    const terminationMessage = join(directory, 'termination-log');
    writeFileSync(terminationMessage, '', { mode: 0o666 });
    const hosts = join(this.#directory, 'etc-hosts');
    if (!existsSync(hosts)) writeFileSync(hosts, '127.0.0.1\tlocalhost\n');
    return { image: this.#image, volumes: this.#volumes, hosts, terminationMessage, log: `${name}.log` };
  }
}

/** Polls until a state is reached; false after `patience` seconds. */
async function isReached(state: () => Promise<boolean>): Promise<boolean> {
  for (const end = Date.now() + patience * 1000; Date.now() < end; await sleep(100))
    if (await state()) return true;
  return false;
}

/** The name of the volume begins so. */
const name = 'kube-api-access';

const files = { token: 'a token', 'ca.crt': 'a certificate', namespace: 'default' };

// The token of a pod's service account.

/** Adds the volume with the token to a pod, as the API server does. */
function withServiceAccount({ metadata, spec }: Pod): Pod {
  if (spec.automountServiceAccountToken === false) return { metadata, spec };
  const volume = { name: `${name}-x7k2p`, projected: { sources: [{ configMap: { name } }] } };
  const mount = {
    name: volume.name,
    mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
    readOnly: true,
  };
  const mounted = (container: Container): Container => ({
    ...container,
    volumeMounts: [...(container.volumeMounts ?? []), mount],
  });
  const { containers, initContainers = [], volumes = [] } = spec;
  return {
    metadata,
    spec: {
      ...spec,
      volumes: [...volumes, volume],
      containers: containers.map(mounted),
      initContainers: initContainers.map(mounted),
    },
  };
}

/** Adds the files of that volume. */
function withServiceAccountFiles(manifests: Manifests): Manifests {
  return { ...manifests, configMaps: new Map([...manifests.configMaps, [name, files]]) };
}
