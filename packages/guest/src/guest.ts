import type * as actions from './actions.js';
import type { Container } from './container/container.js';
import type { ContainerProcess } from './container/container-process.js';
import type { GuestContext } from './container/guest-context.js';
import { SerialQueue } from './container/serial-queue.js';
import { GuestError } from './guest-error.js';
import type { GuestOptions } from './guest-options.js';
import { openContext } from './open-context.js';
import { destroySandbox } from './perform/destroy-sandbox.js';
import { recover } from './recover/recover.js';
import { Sandbox } from './sandbox.js';
import { translated } from './translate-error.js';

interface Parts {
  readonly context: GuestContext;
  readonly sandbox: Sandbox;
  readonly containers: Map<string, Container>;
  readonly changes: SerialQueue;
  /** Asked when a change's turn has come. */
  readonly check: (() => void) | undefined;
}

/**
 * What there is in the guest. What can be done with it are the functions of `perform`, one a file: each is reached from
 * its handler alone, so that a bundle without the handler is without the work too (R13). Every failure of theirs is a
 * GuestError.
 *
 * Calls that change the sandbox or a container are done one after another (S13). Signals, stdio, waits, stats and
 * out-of-memory events never wait for them: a create that hangs must not keep a pod from being ended.
 */
export class Guest {
  readonly context: GuestContext;
  readonly sandbox: Sandbox;
  readonly containers: Map<string, Container>;
  readonly #changes: SerialQueue;
  readonly #check: (() => void) | undefined;

  private constructor({ context, sandbox, containers, changes, check }: Parts) {
    this.context = context;
    this.sandbox = sandbox;
    this.containers = containers;
    this.#changes = changes;
    this.#check = check;
  }

  /**
   * Goes on with what an agent had made that was killed, and takes back what it had not finished. Then asks the runtime for
   * its version and what it can. In a slow guest the answer takes half a second: who needs it waits, and nobody else.
   */
  static async open(options: GuestOptions): Promise<Guest> {
    const context = openContext(options);
    try {
      const guest = new Guest({
        context,
        sandbox: new Sandbox(context),
        containers: new Map(),
        changes: new SerialQueue(),
        check: undefined,
      });
      await recover(guest);
      void context.capabilities();
      return guest;
    } catch (error) {
      context.reaper.stop();
      throw error;
    }
  }

  /** Runs a task that changes the sandbox or a container, after those that were asked for before. */
  change<T>(task: () => Promise<T>): Promise<T> {
    return this.#changes.run(() =>
      translated(async () => {
        this.#check?.();
        return task();
      }),
    );
  }

  /**
   * This guest as one call has it: `check` is asked again when a change's turn comes, since what the call was let through
   * by may have changed while it waited. What it throws, a GuestError, is how the change fails.
   */
  forCall(check: () => void): Guest {
    const { context, sandbox, containers } = this;
    return new Guest({ context, sandbox, containers, changes: this.#changes, check });
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

  /** Undefined: there is no such container. */
  containerFacts(id: string): actions.ContainerFacts | undefined {
    return this.containers.get(id)?.facts;
  }

  get sandboxFacts(): actions.SandboxFacts {
    return { id: this.sandbox.id, containers: [...this.containers.keys()] };
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

  /** Ends everything, as destroySandbox, and stops waiting for processes; for the agent's own end. */
  async shutdown(): Promise<void> {
    try {
      await destroySandbox(this);
    } finally {
      this.context.reaper.stop();
    }
  }
}
