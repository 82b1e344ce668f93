import { GuestError } from '../guest-error.js';

/** Which command of the runtime it is, and for whom. */
export interface CommandFor {
  readonly container: string;
  /** Absent: it is for the container itself. */
  readonly execId?: string | undefined;
  readonly command: 'create' | 'start' | 'exec' | 'pause' | 'resume' | 'update';
  /** Of the call; aborted when nobody waits for its answer. */
  readonly call?: AbortSignal | undefined;
}

/**
 * How long a command may take, in seconds. An exec does little, and all of it in what a container can change: half a
 * second is slow, ten are a container that keeps it. The others may run hooks and take what the guest's disks take.
 */
const patienceSeconds = { exec: 10, create: 30, start: 30, pause: 30, resume: 30, update: 30 } as const;

/**
 * A create takes tens of megabytes for a moment: so many may do so beside each other. `checkAccountFiles` refuses what makes
 * one hang; but for a volume that an earlier container of the pod fills meanwhile.
 */
const maxCreates = 8;

/** After so many seconds a create ends when another one waits for its place. */
const fairSeconds = 10;

/** A create that has one of the places. */
interface PlacedCreate {
  readonly giveUp: () => void;
  /** It has had the time that is fair. */
  isOverdue: boolean;
  givesUp: boolean;
}

interface Running {
  readonly container: string;
  readonly execId: string | undefined;
  readonly controller: AbortController;
}

/**
 * The commands of the runtime that run now for containers. A container can make one hang, as by a FIFO where a file is
 * read; so each ends after a time, when its caller has no more time, and when the container is to end.
 */
export class RuntimeCommands {
  readonly #running: Set<Running> = new Set();
  readonly #creates: Set<PlacedCreate> = new Set();
  readonly #waitingCreates: Set<() => void> = new Set();
  /** Containers that are to end, and why; undefined: all of them. */
  readonly #ending: Map<object, { readonly container: string | undefined; readonly why: string }> = new Map();

  /** Runs a task that takes one command, which has to end with `signal`, whose reason is a GuestError then. */
  async run<T>(wanted: CommandFor, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { container, execId, command, call } = wanted;
    for (const ending of this.#ending.values())
      if (ending.container === undefined || ending.container === container) throw given(wanted, ending.why);
    const controller = new AbortController();
    const running = { container, execId, controller };
    const seconds = patienceSeconds[command];
    const late = (): void => controller.abort(tookTooLong(wanted, seconds));
    const abandon = (): void =>
      controller.abort(given(wanted, 'its caller had no more time for it, or was gone', 'deadline'));
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
    const { signal } = controller;
    while (this.#creates.size >= maxCreates && !signal.aborted) await this.#aCreateEnds(signal);
    const create: PlacedCreate = {
      giveUp: () => controller.abort(tookTooLong(wanted, fairSeconds, ' while other creates waited')),
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
      const [next] = this.#waitingCreates;
      next?.();
    }
  }

  /** Waits for a place that one of the creates gives back. */
  async #aCreateEnds(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waitingCreates.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waitingCreates.add(wake);
      signal.addEventListener('abort', wake);
      this.#makeRoom();
    });
  }

  /** Ends as many of the creates that have had their time as there are others that wait. */
  #makeRoom(): void {
    const placed = [...this.#creates];
    const leaving = placed.filter(({ givesUp }) => givesUp).length;
    const overdue = placed.filter(({ isOverdue, givesUp }) => isOverdue && !givesUp);
    for (const create of overdue.slice(0, Math.max(0, this.#waitingCreates.size - leaving))) {
      create.givesUp = true;
      create.giveUp();
    }
  }

  /** Whether a command runs for an exec of a container. */
  runs(container: string, execId: string): boolean {
    return [...this.#running].some((each) => each.container === container && each.execId === execId);
  }

  /** Ends what runs for a container, or for one exec of it. Tells whether there was something. */
  abort(why: string, container: string, execId?: string): boolean {
    return this.#abort(
      why,
      (each) => each.container === container && (execId ?? each.execId) === each.execId,
    );
  }

  /**
   * As `abort`, for a container or for all, and lets no command begin for it until `admit` is called: a change that waits
   * for its turn behind one that hangs would only hang as well.
   */
  endAll(why: string, container?: string): { readonly aborted: boolean; readonly admit: () => void } {
    const key = {};
    this.#ending.set(key, { container, why });
    const aborted = this.#abort(why, (each) => container === undefined || each.container === container);
    return { aborted, admit: () => this.#ending.delete(key) };
  }

  #abort(why: string, which: (running: Running) => boolean): boolean {
    const found = [...this.#running].filter(which);
    for (const { container, execId, controller } of found)
      controller.abort(given({ container, execId }, why));
    return found.length > 0;
  }
}

function tookTooLong({ container, command }: CommandFor, seconds: number, whileOthers = ''): GuestError {
  return new GuestError(
    'deadline',
    `runc ${command} did not end within ${seconds} seconds${whileOthers} and was killed: something in container ${container} keeps it ` +
      'waiting; look for FIFOs and dead mounts in its root, as at /etc/passwd',
  );
}

function given(
  { container, execId }: Pick<CommandFor, 'container' | 'execId'>,
  why: string,
  kind: 'precondition' | 'deadline' = 'precondition',
): GuestError {
  const what =
    execId === undefined ? `container ${container}` : `process ${execId} of container ${container}`;
  return new GuestError(kind, `the change of ${what} was given up: ${why}`);
}
