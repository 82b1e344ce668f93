import type * as actions from './actions.js';
import type { Container } from './container/container.js';
import type { ContainerProcess } from './container/container-process.js';
import type { GuestContext } from './container/guest-context.js';
import { ChangeQueue, type ChangeScope } from './container/change-queue.js';
import { ContainersInTheMaking } from './container/in-the-making.js';
import type { Wanted } from './device/find-device.js';
import { GuestError } from './guest-error.js';
import type { GuestOptions } from './guest-options.js';
import { openContext } from './open-context.js';
import { claimSandbox } from './claim-sandbox.js';
import { destroySandbox } from './perform/destroy-sandbox.js';
import { recover } from './recover/recover.js';
import { Sandbox } from './sandbox.js';
import { translated } from './translate-error.js';

interface Parts {
  readonly context: GuestContext;
  readonly sandbox: Sandbox;
  readonly containers: Map<string, Container>;
  readonly making: ContainersInTheMaking;
  readonly changes: ChangeQueue;
  readonly call: Call | undefined;
}

/** The call for which a change is made. */
export interface Call {
  /** Asked when its turn has come. What it throws, a GuestError, is how the change fails. */
  readonly check: () => void;
  /** Resolves once the call is recorded; nothing of what it asks for is done before. What it throws ends the call. */
  readonly begin: () => Promise<void>;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** A change for which something has to be there that the agent does not make. */
export interface Needing<T> {
  /** As for `change`; absent: `sandbox`. */
  readonly scope?: ChangeScope;
  /** Throws what would refuse it, whatever devices come: asked before it waits, and again when its turn has come. */
  readonly admit?: () => void;
  readonly needs: () => readonly Wanted[];
  readonly task: () => Promise<T>;
}

/**
 * What there is in the guest. What can be done with it are the functions of `perform`, one a file: each is reached from
 * its handler alone, so that a bundle without the handler is without the work too (R13). Every failure of theirs is a
 * GuestError.
 *
 * Calls that change a container are done one after another, and so are those that change what containers share (S13;
 * `ChangeQueue` says which wait for which). Signals, stdio, waits, stats and out-of-memory events never wait for them.
 * Devices, and mounts of another container, are waited for before a change's turn.
 */
export class Guest {
  readonly context: GuestContext;
  readonly sandbox: Sandbox;
  readonly containers: Map<string, Container>;
  readonly making: ContainersInTheMaking;
  readonly #changes: ChangeQueue;
  readonly #call: Call | undefined;

  private constructor({ context, sandbox, containers, making, changes, call }: Parts) {
    this.context = context;
    this.sandbox = sandbox;
    this.containers = containers;
    this.making = making;
    this.#changes = changes;
    this.#call = call;
  }

  /**
   * Goes on with what an agent had made that was killed, and takes back what it had not finished.
   */
  static async open(options: GuestOptions): Promise<Guest> {
    const context = openContext(options);
    try {
      const guest = new Guest({
        context,
        sandbox: new Sandbox(context),
        containers: new Map(),
        making: new ContainersInTheMaking(),
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
   * Asks the OCI runtime for its version and what it can, before a call needs to know. In a slow guest the answer takes half
   * a second: who needs it waits, and nobody else. Not asked for earlier: an agent that starts has the processors for itself.
   */
  askRuntime(): void {
    void this.context.capabilities();
  }

  /** Aborted when nobody waits for the call's answer any more; undefined: it is made for no call. */
  get signal(): AbortSignal | undefined {
    return this.#call?.signal;
  }

  /**
   * Runs a task that changes something, after those that it has to wait for. `admit` throws what is known to stand against
   * it: what fails there has changed nothing, and needs no record of its own.
   */
  change<T>(task: () => Promise<T>, scope: ChangeScope = 'sandbox', admit?: () => unknown): Promise<T> {
    return this.#changes.run(scope, () =>
      translated(async () => {
        admit?.();
        await this.begin();
        // Others may have changed something meanwhile. From here to the task's own first wait nothing comes in between.
        this.#call?.check();
        claimSandbox(this.context);
        admit?.();
        return task();
      }),
    );
  }

  /** For what changes something without a turn: resolves when the call that asks for it is recorded. */
  async begin(): Promise<void> {
    await this.#call?.begin();
  }

  /**
   * As `change`, for a task that takes down what this guest has made. Skipped when the guest never had Kata's directory: what
   * is there belongs to another agent, which may have been killed and come back.
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
   * As `change`, once all that it needs is there. When it is, its turn is that of any other change; when something is
   * missing, its turn is asked for after that has come. Then it has to be found again: nothing waits in a turn.
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
   * This guest as one call has it: it is checked again when a change's turn comes, since what the call was let through by
   * may have changed while it waited.
   */
  forCall(call: Call): Guest {
    const { context, sandbox, containers, making } = this;
    return new Guest({ context, sandbox, containers, making, changes: this.#changes, call });
  }

  /** Throws `invalid` when there is none. */
  container(id: string): Container {
    const container = this.containers.get(id);
    if (container !== undefined) return container;
    throw new GuestError(
      'invalid',
      `Invalid container id: there is no container ${JSON.stringify(id.slice(0, 150))}`,
    );
  }

  /** Throws `invalid` or `not-found` when there is none. */
  process({ containerId, execId }: actions.ProcessRef): ContainerProcess {
    return this.container(containerId).process(execId);
  }

  /** Undefined: there is no such container. One that is being made counts: rules decide before it is there. */
  containerFacts(id: string): actions.ContainerFacts | undefined {
    return this.containers.get(id)?.facts ?? this.making.facts(id);
  }

  get sandboxFacts(): actions.SandboxFacts {
    const containers = [...this.containers.values()];
    const making = this.making.ids.filter((id) => !this.containers.has(id));
    return {
      id: this.sandbox.id,
      containers: [...containers.map(({ id }) => id), ...making],
      members: [
        ...containers.map(({ facts, first }) => ({ ...facts, exitCode: first.code })),
        ...making
          .flatMap((id) => this.making.facts(id) ?? [])
          .map((facts) => ({ ...facts, exitCode: undefined })),
        ...this.sandbox.removed.map((each) => ({ ...each, state: 'removed' as const })),
      ],
    };
  }

  /**
   * Tells whether a reader was let through at his last read of a stream, for a policy that looks at each: output that
   * somebody was let through to waits for him, and what nobody may read is drained (R15). A stream that is not there
   * is left alone.
   */
  noteReader({ containerId, execId, stream }: actions.StreamRef, reader: string, admitted: boolean): void {
    this.containers.get(containerId)?.find(execId)?.streams.noteReader(stream, reader, admitted);
  }

  /** What may be read has changed: forgets who was let through, and drains what nobody may read any more. */
  reconsiderOutput(): void {
    for (const container of this.containers.values()) {
      for (const { streams } of container.processes) streams.forgetReaders();
    }
  }

  /** Ends everything, as destroySandbox, and stops waiting for processes; for the agent's own end. Nothing changes after it. */
  async shutdown(): Promise<void> {
    try {
      const destroyed = destroySandbox(this);
      this.#changes.close(() => new GuestError('precondition', 'the agent is ending'));
      await destroyed;
    } finally {
      this.context.waits.giveUp('the agent ended');
      this.context.reaper.stop();
    }
  }
}
