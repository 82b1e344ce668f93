import { Semaphore } from '@kata-agent/base';
import { GuestError } from '../guest-error.js';

/** The runtime's command, and the container or exec that it is for. */
export interface CommandFor {
  readonly container: string;
  /** Absent: for the container itself. */
  readonly execId?: string | undefined;
  readonly command: 'create' | 'start' | 'exec' | 'pause' | 'resume' | 'update' | 'pull';
  /** Aborted when the call is cancelled or its deadline has passed. */
  readonly call?: AbortSignal | undefined;
}

/**
 * Time limits of commands in seconds. An exec does little, but all of it in a file system that the container can
 * change: half a second is slow, and after ten the container is probably blocking it. Other commands may run hooks and wait for the
 * guest's disks. A pull is none of the runtime's commands, and its puller has a time limit; it is ended for the same reasons.
 */
const timeLimitSeconds = {
  exec: 10,
  create: 30,
  start: 30,
  pause: 30,
  resume: 30,
  update: 30,
  pull: 86_400,
} as const;

/**
 * Maximum number of concurrent creates: each needs tens of megabytes for a short time. `checkAccountFiles` refuses files
 * that would block one, except in a volume that another container of the pod changes meanwhile.
 */
const maxCreates = 8;

/** Seconds after which a create is ended if another one waits for its slot. */
const fairSeconds = 10;

/** A create that has a slot. */
interface PlacedCreate {
  readonly giveUp: () => void;
  /** It has run for longer than its guaranteed time. */
  isOverdue: boolean;
  givesUp: boolean;
}

interface Running {
  readonly container: string;
  readonly execId: string | undefined;
  readonly controller: AbortController;
}

/**
 * The running commands of the runtime. A container can block one, as by a FIFO where a file is read; so each is ended
 * after its time limit, when the call is cancelled, and when the container is removed.
 */
export class RunningCommands {
  readonly #program: string;
  readonly #running: Set<Running> = new Set();
  readonly #creates: Set<PlacedCreate> = new Set();
  readonly #createSlots: Semaphore = new Semaphore(maxCreates);
  /** Containers that are being removed, with the reason for errors; `container` undefined: all. */
  readonly #ending: Map<object, { readonly container: string | undefined; readonly reason: string }> =
    new Map();

  /** @param program the runtime's name, for errors */
  constructor(program: string) {
    this.#program = program;
  }

  /** Runs a task for one command, which must end when `signal` is aborted; the signal's reason is a GuestError. */
  async run<T>(wanted: CommandFor, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { container, execId, command, call } = wanted;
    for (const ending of this.#ending.values())
      if (ending.container === undefined || ending.container === container)
        throw cancelled(wanted, ending.reason);
    const controller = new AbortController();
    const running = { container, execId, controller };
    const seconds = timeLimitSeconds[command];
    const late = (): void => controller.abort(tookTooLong(this.#program, wanted, seconds));
    const abandon = (): void =>
      controller.abort(cancelled(wanted, 'the call was cancelled or its deadline passed', 'deadline'));
    this.#running.add(running);
    call?.addEventListener('abort', abandon);
    let timer: NodeJS.Timeout | undefined;
    const timed = async (): Promise<T> => {
      controller.signal.throwIfAborted();
      timer = setTimeout(late, seconds * 1000);
      return task(controller.signal);
    };
    try {
      if (call?.aborted === true) abandon();
      return await (command === 'create' ? this.#amongCreates(wanted, controller, timed) : timed());
    } finally {
      clearTimeout(timer);
      call?.removeEventListener('abort', abandon);
      this.#running.delete(running);
    }
  }

  async #amongCreates<T>(
    wanted: CommandFor,
    controller: AbortController,
    task: () => Promise<T>,
  ): Promise<T> {
    const created = this.#createSlots.run(() => this.#inSlot(wanted, controller, task), controller);
    this.#makeRoom();
    return await created;
  }

  async #inSlot<T>(wanted: CommandFor, controller: AbortController, task: () => Promise<T>): Promise<T> {
    const create: PlacedCreate = {
      giveUp: () =>
        controller.abort(tookTooLong(this.#program, wanted, fairSeconds, ' while other creates waited')),
      isOverdue: false,
      givesUp: false,
    };
    this.#creates.add(create);
    const timer = setTimeout(() => {
      create.isOverdue = true;
      this.#makeRoom();
    }, fairSeconds * 1000);
    try {
      return await task();
    } finally {
      clearTimeout(timer);
      this.#creates.delete(create);
    }
  }

  /** Ends creates that are over their guaranteed time, one for each that waits. */
  #makeRoom(): void {
    const placed = [...this.#creates];
    const leaving = placed.filter(({ givesUp }) => givesUp).length;
    const overdue = placed.filter(({ isOverdue, givesUp }) => isOverdue && !givesUp);
    for (const create of overdue.slice(0, Math.max(0, this.#createSlots.waiting - leaving))) {
      create.givesUp = true;
      create.giveUp();
    }
  }

  /** Reports whether a command runs for an exec of a container. */
  runs(container: string, execId: string): boolean {
    return [...this.#running].some((each) => each.container === container && each.execId === execId);
  }

  /** Ends the commands of a container, or of one exec of it. Reports whether there were any. */
  abort(reason: string, container: string, execId?: string): boolean {
    return this.#abort(
      reason,
      (each) => each.container === container && (execId ?? each.execId) === each.execId,
    );
  }

  /**
   * As `abort`, for a container or for all, and refuses further commands for it until `admit` is called: changes that
   * are queued behind a blocked one would only block as well.
   */
  endAll(reason: string, container?: string): { readonly aborted: boolean; readonly admit: () => void } {
    const key = {};
    this.#ending.set(key, { container, reason });
    const aborted = this.#abort(reason, (each) => container === undefined || each.container === container);
    return { aborted, admit: () => this.#ending.delete(key) };
  }

  #abort(reason: string, which: (running: Running) => boolean): boolean {
    const found = [...this.#running].filter(which);
    for (const { container, execId, controller } of found)
      controller.abort(cancelled({ container, execId }, reason));
    return found.length > 0;
  }
}

function tookTooLong(
  program: string,
  { container, command }: CommandFor,
  seconds: number,
  whileOthers = '',
): GuestError {
  return new GuestError(
    'deadline',
    `${program} ${command} did not end within ${seconds} seconds${whileOthers} and was killed: a file of container ${container} blocks it; ` +
      'help: search its root for FIFOs and dead mounts, as at /etc/passwd',
  );
}

function cancelled(
  { container, execId }: Pick<CommandFor, 'container' | 'execId'>,
  reason: string,
  kind: 'precondition' | 'deadline' = 'precondition',
): GuestError {
  const what =
    execId === undefined ? `container ${container}` : `process ${execId} of container ${container}`;
  return new GuestError(kind, `the change of ${what} was cancelled: ${reason}`);
}
