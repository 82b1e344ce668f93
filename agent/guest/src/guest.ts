import type * as actions from './request/actions.js';
import type { Container } from './container/container.js';
import type { ContainerProcess } from './container/container-process.js';
import { ChangeQueue, type ChangeScope } from './container/change-queue.js';
import { PendingContainers } from './container/pending-containers.js';
import type { Wanted } from './device/find-device.js';
import { GuestError, translated } from './guest-error.js';
import type { GuestOptions } from './context/guest-options.js';
import { type GuestContext, openContext } from './context/guest-context.js';
import { claimSandbox } from './sandbox/claim-sandbox.js';
import { recover } from './recover/recover.js';
import { Sandbox } from './sandbox/sandbox.js';
import { quotedName } from './quoted.js';

interface Parts {
  readonly context: GuestContext;
  readonly sandbox: Sandbox;
  readonly containers: Map<string, Container>;
  readonly creating: PendingContainers;
  readonly changes: ChangeQueue;
  readonly call: Call | undefined;
}

/** The call that a change is made for. */
export interface Call {
  /** Runs when the change reaches the head of the queue; a GuestError it throws fails the change. */
  readonly check: () => void;
  /** Resolves once the call is in the audit log; nothing is changed before. An error it throws ends the call. */
  readonly begin: () => Promise<void>;
  /** Aborted when the caller has cancelled the call or its deadline has passed. */
  readonly signal: AbortSignal;
  /** The caller, if slots are shared between callers. Absent: Kata's runtime, which can have all free slots. */
  readonly caller?: string | undefined;
}

/** A change that depends on something the agent does not create, such as a device that the host plugs in. */
export interface Needing<T> {
  /** Default: `sandbox`, as for `change`. */
  readonly scope?: ChangeScope;
  /**
   * Throws if the change would be refused whatever devices appear. Called before the wait, and again when the change
   * reaches the head of the queue.
   */
  readonly admit?: () => void;
  readonly needs: () => readonly Wanted[];
  readonly task: () => Promise<T>;
}

/**
 * The state of the guest. The functions in `perform` act on it: each is imported by its handler alone, so that a bundle
 * without the handler does not contain the code either (R13). All their failures are GuestErrors.
 *
 * Calls that change a container are serialized, and so are calls that change what containers share (S13; `ChangeQueue`
 * defines which wait for which). Signals, stdio, waits, stats and out-of-memory events never wait for them. Devices,
 * and mounts of another container, are waited for before a change enters the queue.
 */
export class Guest {
  readonly context: GuestContext;
  readonly sandbox: Sandbox;
  readonly containers: Map<string, Container>;
  readonly creating: PendingContainers;
  readonly #changes: ChangeQueue;
  readonly #call: Call | undefined;

  private constructor({ context, sandbox, containers, creating, changes, call }: Parts) {
    this.context = context;
    this.sandbox = sandbox;
    this.containers = containers;
    this.creating = creating;
    this.#changes = changes;
    this.#call = call;
  }

  /** Restores the state of an agent that was killed, and rolls back what it had not finished. */
  static async open(options: GuestOptions): Promise<Guest> {
    const context = openContext(options);
    try {
      const guest = new Guest({
        context,
        sandbox: new Sandbox(context),
        containers: new Map(),
        creating: new PendingContainers(context.paths.kata),
        changes: new ChangeQueue(),
        call: undefined,
      });
      await recover(guest);
      return guest;
    } catch (error) {
      context.reaper.stop();
      throw error;
    }
  }

  /**
   * Queries the OCI runtime's version and features before a call needs them. In a slow guest that takes half a second,
   * for which only calls that need the answer wait. Not called at start, when the agent itself needs the processors.
   */
  askRuntime(): void {
    void this.context.capabilities();
  }

  /** Aborted when the call is cancelled or its deadline has passed; undefined: no call made the change. */
  get signal(): AbortSignal | undefined {
    return this.#call?.signal;
  }

  /** The caller, as `Call.caller`. */
  get caller(): string | undefined {
    return this.#call?.caller;
  }

  /**
   * Runs a task that changes something, after the changes that it has to wait for. `admit` throws for a change that is
   * known to fail; before `begin` such a change gets no audit record.
   */
  change<T>(task: () => Promise<T>, scope: ChangeScope = 'sandbox', admit?: () => unknown): Promise<T> {
    return this.#changes.run(scope, () =>
      translated(async () => {
        admit?.();
        await this.begin();
        // State may have changed since. Nothing runs between here and the task's first await.
        this.#call?.check();
        claimSandbox(this.context);
        admit?.();
        return task();
      }),
    );
  }

  /** Resolves when the call is in the audit log. For changes that do not go through the queue. */
  async begin(): Promise<void> {
    await this.#call?.begin();
  }

  /**
   * As `change`, for a task that removes what this guest has created. Skipped if this guest never had Kata's directory:
   * its contents belong to another agent, which may have been killed and restarted.
   */
  takeDown(task: () => Promise<void>): Promise<void> {
    return this.#changes.run('whole', () =>
      translated(async () => {
        await this.begin();
        this.#call?.check();
        if (this.context.claim.held) await task();
      }),
    );
  }

  /**
   * As `change`, once everything that it depends on is present. The change enters the queue only after missing devices
   * and mounts have appeared, and looks them up again there: a change at the head of the queue never waits.
   */
  changeWith<T>({ scope = 'sandbox', admit, needs, task }: Needing<T>): Promise<T> {
    const { devices, waits } = this.context;
    return translated(async () => {
      const missing = needs().filter((wanted) => !devices.has(wanted));
      if (missing.length > 0) {
        admit?.();
        const container = typeof scope === 'string' ? undefined : scope.container;
        await waits.forAll(missing, { container, signal: this.#call?.signal });
      }
      return this.change(task, scope, admit);
    });
  }

  /**
   * Returns a guest with the same state whose changes belong to a call. They run `call.check` when they reach the head of
   * the queue, since lists and rules may have changed while they waited.
   */
  forCall(call: Call): Guest {
    const { context, sandbox, containers, creating } = this;
    return new Guest({ context, sandbox, containers, creating, changes: this.#changes, call });
  }

  /** Returns a container. Throws `invalid` if it does not exist. */
  container(id: string): Container {
    const container = this.containers.get(id);
    if (container !== undefined) return container;
    throw new GuestError('invalid', `Invalid container id: there is no container ${quotedName(id)}`);
  }

  /** Returns a process of a container. Throws `invalid` if the container, `not-found` if the process does not exist. */
  process({ containerId, execId }: actions.ProcessRef): ContainerProcess {
    return this.container(containerId).process(execId);
  }

  /**
   * Returns the status of a container; undefined: there is no such container. Includes containers that are being created: rules decide before
   * the container exists.
   */
  containerStatus(id: string): actions.ContainerStatus | undefined {
    return this.containers.get(id)?.facts ?? this.creating.facts(id);
  }

  /** Returns the containers in order of creation, without those that are being created or removed. */
  listed(): readonly actions.ListedContainer[] {
    return [...this.containers.values()]
      .filter(({ removing }) => !removing)
      .toSorted((a, b) => a.order - b.order)
      .map(({ id, facts: { state, annotations }, first, execs }) => ({
        id,
        name: this.context.namesOf(annotations).inPod,
        state,
        exitCode: first.code,
        execs: [...execs].map(([exec, { code }]) => ({ id: exec, exitCode: code })),
      }));
  }

  /** Returns what an exec of a container has if it states nothing else; undefined if there is no such container. */
  execDefaults(id: string): actions.ExecDefaults | undefined {
    return this.containers.get(id);
  }

  get sandboxStatus(): actions.SandboxStatus {
    return this.sandboxStatusWithout(undefined);
  }

  /** Returns the status as it is for rules about a container that is being created: without that container. */
  sandboxStatusWithout(created: string | undefined): actions.SandboxStatus {
    const containers = [...this.containers.values()];
    const creating = this.creating.ids.filter((id) => id !== created && !this.containers.has(id));
    const member = (
      { annotations, state, mounts }: actions.ContainerStatus,
      exitCode: number | undefined,
    ) => ({
      name: this.context.namesOf(annotations).inPod,
      state,
      exitCode,
      mounts,
    });
    return {
      id: this.sandbox.id,
      containers: [...containers.map(({ id }) => id), ...creating],
      members: [
        ...containers.map(({ facts, first }) => member(facts, first.ownCode)),
        ...creating.flatMap((id) => this.creating.facts(id) ?? []).map((facts) => member(facts, undefined)),
        ...this.sandbox.removed.map((each) => ({ ...each, state: 'removed' as const })),
      ],
    };
  }

  /**
   * Notes that a call ends or signals a container, before it does (S35): of its processes a child can end before its parent, which then
   * exits with 0. Containers that share its process namespace end with it.
   */
  noteSignal(container: Container): void {
    const { id } = container;
    const shared = this.sandbox.isFirst(id) ? [...this.containers.values()] : [container];
    for (const { id: other, first, namespaces } of shared)
      if (!first.ended && (other === id || !namespaces.has('pid'))) first.noteSignal();
  }

  /**
   * Records whether a reader was allowed at its last read of a stream, for a policy that decides on each read: output
   * of an allowed stream is kept for its reader, output of a denied one is drained (R15). Ignores a stream that does
   * not exist.
   */
  noteReader({ containerId, execId, stream }: actions.StreamRef, reader: string, admitted: boolean): void {
    this.containers.get(containerId)?.find(execId)?.streams.noteReader(stream, reader, admitted);
  }

  /**
   * Called when the rights to read have changed: forgets which readers were allowed, and drains streams that no reader
   * may read any more.
   */
  reconsiderOutput(): void {
    for (const container of this.containers.values()) {
      for (const { streams } of container.processes) streams.forgetReaders();
    }
  }

  /** Refuses later changes. Those that are queued still run. */
  closeChanges(): void {
    this.#changes.close(() => new GuestError('precondition', 'the agent is shutting down'));
  }
}
