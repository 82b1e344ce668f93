import type * as actions from './actions.js';
import { cgroupStats } from './cgroup/cgroup-stats.js';
import { killAll } from './cgroup/kill-all.js';
import { networkStats } from './cgroup/network-stats.js';
import type { Container } from './container/container.js';
import type { ContainerProcess } from './container/container-process.js';
import { createContainer } from './container/create-container.js';
import type { GuestContext } from './container/guest-context.js';
import { checkContainerId } from './container/identifiers.js';
import { launchProcess } from './container/launch-process.js';
import { removeContainer } from './container/remove-container.js';
import { SerialQueue } from './container/serial-queue.js';
import { effectiveSignal, readStatus } from './container/signal-rule.js';
import type { ContainerStats } from './container-stats.js';
import { copyFile } from './copy-file.js';
import { guestDetails } from './details.js';
import { GuestError } from './guest-error.js';
import type { GuestOptions } from './guest-options.js';
import { openContext } from './open-context.js';
import { Sandbox } from './sandbox.js';
import { runnableProcess } from './spec/build-spec.js';
import { settableResources } from './spec/resources.js';
import { translated } from './translate-error.js';

const SIGKILL = 9;

/**
 * The guest's work. Every failure is a GuestError.
 *
 * Calls that change the sandbox or a container are done one after another (S13). Signals, stdio, waits, stats and
 * out-of-memory events never wait for them: a create that hangs must not keep a pod from being ended.
 */
export class Guest {
  readonly #context: GuestContext;
  readonly #sandbox: Sandbox;
  readonly #containers: Map<string, Container> = new Map();
  readonly #changes: SerialQueue = new SerialQueue();

  private constructor(context: GuestContext) {
    this.#context = context;
    this.#sandbox = new Sandbox(context);
  }

  /** Looks for the runtime, logs its version and clears what an earlier agent left behind. */
  static async open(options: GuestOptions): Promise<Guest> {
    return new Guest(await openContext(options));
  }

  /** Undefined: there is no such container. */
  containerFacts(id: string): actions.ContainerFacts | undefined {
    return this.#containers.get(id)?.facts;
  }

  get sandboxFacts(): actions.SandboxFacts {
    return { id: this.#sandbox.id, containers: [...this.#containers.keys()] };
  }

  createSandbox(action: actions.CreateSandbox): Promise<void> {
    return this.#change(async () => {
      if (this.#containers.size > 0) {
        throw new GuestError('precondition', 'there are containers already; the sandbox comes before them');
      }
      await this.#sandbox.create(action);
    });
  }

  /** Ends all containers and removes what they shared. Without a sandbox there is nothing to do. */
  destroySandbox(): Promise<void> {
    return this.#change(async () => {
      const failures: unknown[] = [];
      // The first container holds the namespaces of the others: it goes last.
      for (const container of [...this.#containers.values()].reverse()) {
        await this.#remove(container, 0).catch((error: unknown) => failures.push(error));
      }
      await this.#sandbox.destroy();
      if (failures.length > 0) throw failures[0];
    });
  }

  /** Facts of the guest; unchanging, but for memory hotplug. */
  details(query: actions.GuestDetailsQuery): Promise<actions.GuestDetails> {
    return translated(async () =>
      guestDetails(query, this.#context.paths.sys, this.#context.capabilities.seccomp),
    );
  }

  createContainer(action: actions.CreateContainer): Promise<void> {
    return this.#change(async () => {
      const { id } = action;
      checkContainerId(id);
      if (this.#containers.has(id)) throw new GuestError('exists', `container ${id} exists`);
      const limit = this.#context.limits.containers;
      if (this.#containers.size >= limit) {
        throw new GuestError('exhausted', `there are ${limit} containers (limits.containers)`);
      }
      refuseUnbuilt(action);
      this.#context.runtime.installed();
      const container = await createContainer(
        action,
        this.#sandbox.share(action.sandboxPidns),
        this.#context,
      );
      this.#containers.set(id, container);
      this.#sandbox.joined(container);
    });
  }

  startContainer(id: string): Promise<void> {
    return this.#change(async () => {
      const container = this.#container(id);
      if (container.state !== 'created')
        throw new GuestError('precondition', `container ${id} was started before`);
      await this.#context.runtime.start(id);
      container.state = 'started';
    });
  }

  /** One that runs is killed first. */
  removeContainer({ id, timeoutSeconds }: actions.RemoveContainer): Promise<void> {
    return this.#change(() => this.#remove(this.#container(id), timeoutSeconds));
  }

  execProcess({ containerId, execId, process }: actions.ExecProcess): Promise<void> {
    return this.#change(async () => {
      const { limits, capabilities, runtime } = this.#context;
      const container = this.#container(containerId);
      container.makeRoom(execId, limits.execsPerContainer);
      const runnable = runnableProcess(process, capabilities);
      const started = await launchProcess(
        { containerId, execId },
        process.terminal ?? false,
        (stdio) => runtime.exec(containerId, runnable, stdio),
        this.#context,
      );
      container.addExec(execId, started);
    });
  }

  /** SIGKILL to the first process goes to all of the container's. */
  signalProcess({ containerId, execId, signal }: actions.SignalProcess): Promise<void> {
    return translated(async () => {
      const { syscalls, paths } = this.#context;
      if (!Number.isInteger(signal) || signal < 0 || signal > 64) {
        throw new GuestError('invalid', `signal ${signal} is not between 0 and 64`);
      }
      const container = this.#container(containerId);
      if (signal === SIGKILL && container.isFirst(execId)) {
        await killAll(container.cgroup, syscalls);
        return;
      }
      const process = container.process(execId);
      const pid = process.livePid(`process ${JSON.stringify(execId)} of container ${containerId}`);
      const first = process === container.first;
      syscalls.kill(pid, effectiveSignal(signal, first, readStatus(pid, paths.proc)));
    });
  }

  /** The exit code (128 + n for a signal n), now or when it ends. Rejects with the signal's reason when aborted. */
  async waitProcess(ref: actions.ProcessRef, signal: AbortSignal): Promise<number> {
    return this.#process(ref).wait(signal);
  }

  /** At least one byte and at most `length`; waits when there is none; empty: end of file. */
  async readStream({ stream, length, ...ref }: actions.ReadStream, signal: AbortSignal): Promise<Uint8Array> {
    return this.#process(ref).streams.read(stream, length, signal);
  }

  /** Resolves with the number of bytes, once the pipe or terminal has taken them all. No bytes: closes stdin. */
  async writeStdin({ data, ...ref }: actions.WriteStdin): Promise<number> {
    const { streams } = this.#process(ref);
    if (data.length > 0) return streams.write(data);
    streams.closeInput();
    return 0;
  }

  /**
   * Tells whether a reader was let through at his last read of a stream, for a policy that looks at each: output that
   * somebody was let through to waits for him, and what nobody may read is drained (R15). A stream that is not there
   * is left alone.
   */
  noteReader({ containerId, execId, stream }: actions.StreamRef, reader: string, admitted: boolean): void {
    this.#containers.get(containerId)?.find(execId)?.streams.noteReader(stream, reader, admitted);
  }

  /** What may be read has changed: forgets who was let through, and drains what nobody may read any more. */
  reconsiderOutput(): void {
    for (const container of this.#containers.values()) {
      for (const { streams } of container.processes) streams.forgetReaders();
    }
  }

  async closeStdin(ref: actions.ProcessRef): Promise<void> {
    this.#process(ref).streams.closeInput();
  }

  resizeTerminal({ rows, columns, ...ref }: actions.ResizeTerminal): Promise<void> {
    return translated(async () => this.#process(ref).streams.resize(rows, columns));
  }

  pauseContainer(id: string): Promise<void> {
    return this.#change(async () => {
      const container = this.#container(id);
      if (container.state !== 'started' || container.first.ended) {
        throw new GuestError('precondition', `container ${id} does not run, so it cannot be paused`);
      }
      await this.#context.runtime.pause(id);
      container.state = 'paused';
    });
  }

  resumeContainer(id: string): Promise<void> {
    return this.#change(async () => {
      const container = this.#container(id);
      if (container.state !== 'paused') throw new GuestError('precondition', `container ${id} is not paused`);
      await this.#context.runtime.resume(id);
      container.state = 'started';
    });
  }

  updateContainer({ id, resources }: actions.UpdateContainer): Promise<void> {
    return this.#change(async () => {
      this.#container(id);
      await this.#context.runtime.update(id, settableResources(resources));
    });
  }

  statsContainer(id: string): Promise<ContainerStats> {
    return translated(async () => ({
      ...cgroupStats(this.#container(id).cgroup),
      network: networkStats(this.#context.paths.proc),
    }));
  }

  copyFile(action: actions.CopyFile): Promise<void> {
    return this.#change(async () => copyFile(action, this.#context));
  }

  /** The id of a container whose process was killed for want of memory; waits for the next. */
  nextOomEvent(signal: AbortSignal): Promise<string> {
    return this.#context.oom.next(signal);
  }

  /** Ends everything, as destroySandbox, and stops waiting for processes; for the agent's own end. */
  async shutdown(): Promise<void> {
    try {
      await this.destroySandbox();
    } finally {
      this.#context.reaper.stop();
    }
  }

  async #remove(container: Container, timeoutSeconds: number): Promise<void> {
    try {
      await removeContainer(container, timeoutSeconds, this.#context);
    } finally {
      if (container.made.empty) this.#containers.delete(container.id);
    }
  }

  #container(id: string): Container {
    const container = this.#containers.get(id);
    if (container !== undefined) return container;
    throw new GuestError(
      'invalid',
      `Invalid container id: there is no container ${JSON.stringify(id.slice(0, 150))}`,
    );
  }

  #process({ containerId, execId }: actions.ProcessRef): ContainerProcess {
    return this.#container(containerId).process(execId);
  }

  #change<T>(task: () => Promise<T>): Promise<T> {
    return this.#changes.run(() => translated(task));
  }
}

/** What an attached device or a mount between containers asks for comes with issue C; to ignore it would be to lie. */
function refuseUnbuilt({ devices, sharedMounts }: actions.CreateContainer): void {
  const [device] = devices ?? [];
  if (device !== undefined) {
    throw new GuestError(
      'unimplemented',
      `device ${JSON.stringify(device.type)}: attached devices are not built yet`,
    );
  }
  if (sharedMounts !== undefined && sharedMounts.length > 0) {
    throw new GuestError('unimplemented', 'shared_mounts are not built yet');
  }
}
