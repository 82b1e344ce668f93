import { Worker } from 'node:worker_threads';
import type { Syscalls } from '../syscalls/syscalls.js';
import { type MessageFromThread, type MessageToThread, TaskState } from './task-messages.js';

/** Why a task has no result. */
export class TaskFailure extends Error {
  override readonly name = 'TaskFailure';
  /** `late`: it made no progress within its time limit, or did not end within the longer one; `full`: too many others hang, or one that changes the same; `thread`: its thread ended. */
  readonly reason: 'late' | 'full' | 'thread';
  /** Of a task that is late: resolves when its call has returned after all, and its result has been released. */
  readonly ended: Promise<void> | undefined;

  constructor(
    reason: TaskFailure['reason'],
    message: string,
    { ended, ...options }: ErrorOptions & { readonly ended?: Promise<void> } = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.ended = ended;
  }
}

export interface TaskThreadLimits {
  /** Tasks that run at the same time, without those that are slow. */
  readonly running: number;
  /** Tasks that are slow, or whose caller has been given up on. */
  readonly hanging: number;
  /** A task that has not ended after so long is slow, whether it makes progress or not: it no longer counts as running, so that others can. */
  readonly slowMilliseconds: number;
  /** A task that makes no progress for so long fails. */
  readonly milliseconds: number;
  /** A task that has not ended after so long fails, also if it makes progress: the host decides how many steps there are. */
  readonly longestMilliseconds: number;
}

export interface TaskThreadsOptions {
  /** The program of a thread, which calls `serveTasks`. */
  readonly program: () => URL;
  readonly limits: TaskThreadLimits;
  readonly syscalls: Syscalls;
  /**
   * Returns what a task changes, such as a mount point: while one that was given up on may still change it, others that would are
   * refused. Undefined: nothing that another task could meet.
   */
  readonly changes?: (name: string, args: unknown) => string | undefined;
  /** Turns what `encode` of `serveTasks` returned into an error again. */
  readonly decode: (encoded: unknown) => unknown;
  /** Called for each task that is given up on, and when its thread returns. */
  readonly report: (message: string) => void;
}

interface Job {
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
  readonly lent: number[];
  readonly bytes: Uint8Array;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Bounds of V8's heaps in a thread, in MiB: without them each reserves several times as much. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 16 };

/** A thread without work ends after this time, except the last one. */
const idleMilliseconds = 1_000;

const nothing = new Uint8Array(0);

/**
 * Runs tasks in threads of their own, because a system call that waits for the host cannot be interrupted: a task that makes no
 * progress within its time limit, or does not end within a longer one, fails, and its thread is given up. When its call returns after
 * all, its result is released. The number of such threads is bounded: beyond it, tasks fail at once, until one returns.
 */
export class TaskThreads {
  readonly #options: TaskThreadsOptions;
  readonly #idle: TaskThread[] = [];
  readonly #busy: Set<TaskThread> = new Set();
  readonly #queue: Job[] = [];
  #starting = 0;
  #prepared: (() => void)[] = [];
  #count = 0;

  constructor(options: TaskThreadsOptions) {
    this.#options = options;
  }

  /** Number of tasks that are slow, or whose callers have been given up on. */
  get hanging(): number {
    return [...this.#busy].filter((each) => each.hangs).length;
  }

  /** Number of threads. */
  get threads(): number {
    return this.#idle.length + this.#busy.size + this.#starting;
  }

  /** Starts a thread, so that the first task does not wait for it; resolves when it is there. */
  prepare(): Promise<void> {
    if (this.threads > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#prepared.push(resolve);
      this.#start();
    });
  }

  /**
   * Runs a task.
   *
   * @param lent descriptors for the task; duplicated here, so that the caller may close its own at any time.
   * @param bytes content for the task, which takes it as `TaskTools.bytes`: `args` of that size would be copied twice, into new memory.
   * They must not change before the promise is settled.
   * @throws TaskFailure, or the task's error.
   */
  run(
    name: string,
    args: unknown,
    lent: readonly number[] = [],
    bytes: Uint8Array = nothing,
  ): Promise<unknown> {
    if (this.hanging >= this.#options.limits.hanging) return Promise.reject(this.#full());
    const changed = this.#options.changes?.(name, args);
    if (changed !== undefined && [...this.#busy].some((each) => each.mayStillChange(changed)))
      return Promise.reject(
        new TaskFailure(
          'full',
          `an earlier call that changes ${changed} still waits for the host's share, disks or network`,
        ),
      );
    return new Promise((resolve, reject) => {
      const id = (this.#count += 1);
      this.#queue.push({ id, name, args, lent: this.#duplicates(lent), bytes, resolve, reject });
      this.#next();
    });
  }

  /** Resolves when one thread is left, which has no work. */
  async settle(): Promise<void> {
    while (this.#starting > 0 || this.#busy.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all(this.#idle.splice(1).map((each) => each.end()));
  }

  /** Ends the threads that are idle. A process that ends while threads hang needs `Syscalls.exitNow`. */
  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((each) => each.end()));
  }

  /** Returns duplicates of all descriptors, or throws and leaves none. */
  #duplicates(lent: readonly number[]): number[] {
    const { syscalls } = this.#options;
    const duplicates: number[] = [];
    try {
      for (const fd of lent) duplicates.push(syscalls.duplicate(fd));
    } catch (error) {
      for (const fd of duplicates) syscalls.close(fd);
      throw error;
    }
    return duplicates;
  }

  #next(): void {
    const { limits } = this.#options;
    if (this.#queue.length > 0 && this.hanging >= limits.hanging) this.#refuseQueued(this.#full());
    const running = this.#busy.size - this.hanging;
    if (this.#queue.length === 0 || running >= limits.running) return;
    const thread = this.#idle.pop();
    if (thread === undefined) {
      if (running + this.#starting < limits.running) this.#start();
      return;
    }
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#busy.add(thread);
    thread.begin(job);
    this.#next();
  }

  #full(): TaskFailure {
    return new TaskFailure(
      'full',
      `${this.hanging} earlier calls still wait for the host's share, disks or network`,
    );
  }

  #refuseQueued(failure: TaskFailure): void {
    for (const job of this.#queue.splice(0)) {
      for (const fd of job.lent) this.#options.syscalls.close(fd);
      job.reject(failure);
    }
  }

  #start(): void {
    this.#starting += 1;
    try {
      this.#startThread();
    } catch (error) {
      // The kernel has no thread for it, or its program is missing.
      this.#starting -= 1;
      for (const resolve of this.#prepared.splice(0)) resolve();
      const others = this.threads - this.hanging;
      if (others === 0) this.#refuseQueued(notStarted({ cause: error }));
    }
  }

  #startThread(): void {
    const thread: TaskThread = new TaskThread(this.#options, {
      ready: () => {
        this.#starting -= 1;
        this.#idle.push(thread);
        for (const resolve of this.#prepared.splice(0)) resolve();
        this.#next();
      },
      slow: () => this.#next(),
      done: () => {
        this.#busy.delete(thread);
        this.#idle.push(thread);
        this.#next();
        this.#endIdle();
      },
      ended: (wasReady) => {
        if (!wasReady) this.#starting -= 1;
        for (const resolve of this.#prepared.splice(0)) resolve();
        this.#busy.delete(thread);
        const at = this.#idle.indexOf(thread);
        if (at >= 0) this.#idle.splice(at, 1);
        // Without a thread that starts, what is queued would wait for ever.
        if (!wasReady) this.#refuseQueued(notStarted());
        this.#next();
      },
    });
  }

  #endIdle(): void {
    if (this.#idle.length < 2) return;
    setTimeout(() => {
      // One that has not been used since is at the bottom.
      if (this.#idle.length > 1) void this.#idle.shift()?.end();
    }, idleMilliseconds).unref();
  }
}

function notStarted(options?: ErrorOptions): TaskFailure {
  return new TaskFailure('thread', 'the thread for files of the host cannot be started', options);
}

interface ThreadEvents {
  readonly ready: () => void;
  /** The task is slow. */
  readonly slow: () => void;
  /** The thread can take another task. */
  readonly done: () => void;
  readonly ended: (wasReady: boolean) => void;
}

class TaskThread {
  readonly #worker: Worker;
  readonly #options: TaskThreadsOptions;
  readonly #events: ThreadEvents;
  readonly #state: TaskState = new TaskState();
  #job: Job | undefined;
  /** What is released when the task returns. */
  #abandoned: Job | undefined;
  /** Tells the caller of the abandoned task that it has ended. */
  #endAbandoned: () => void = () => undefined;
  /** Of the task that the thread has not ended. */
  #lent: readonly number[] = [];
  /** Of the whole task. */
  #timers: NodeJS.Timeout[] = [];
  /** Of its next step. */
  #late: NodeJS.Timeout | undefined;
  #slow = false;
  /** For the bytes of a task: transferred to the thread, which returns it with the result, so that it is used by one at a time. */
  #memory = new ArrayBuffer(0);
  #ready = false;

  constructor(options: TaskThreadsOptions, events: ThreadEvents) {
    this.#options = options;
    this.#events = events;
    this.#worker = new Worker(options.program(), {
      execArgv: [],
      env: {},
      resourceLimits,
      workerData: this.#state.memory,
    });
    this.#worker.on('message', (message: MessageFromThread) => this.#receive(message));
    this.#worker.on('error', (error: unknown) => this.#fail(error));
    this.#worker.on('exit', () => {
      this.#closeLent();
      this.#fail(new TaskFailure('thread', 'the thread of the task ended'));
      events.ended(this.#ready);
    });
  }

  get hangs(): boolean {
    return this.#slow || this.#abandoned !== undefined;
  }

  /** Reports whether a task that was given up on changes this when its call returns. */
  mayStillChange(what: string): boolean {
    const job = this.#abandoned;
    return job !== undefined && this.#options.changes?.(job.name, job.args) === what;
  }

  begin(job: Job): void {
    this.#job = job;
    this.#lent = job.lent;
    this.#state.begin();
    this.#worker.ref();
    const { id, name, args, lent } = job;
    const bytes = this.#fill(job.bytes);
    this.#send({ kind: 'task', id, name, args, lent, bytes }, [bytes.buffer]);
    this.#watch();
  }

  end(): Promise<unknown> {
    return this.#worker.terminate();
  }

  /** Copies bytes into the memory that the thread has returned, if they fit. */
  #fill(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const memory = this.#memory.byteLength < bytes.length ? new ArrayBuffer(bytes.length) : this.#memory;
    const filled = new Uint8Array(memory, 0, bytes.length);
    if (bytes.length > 0) filled.set(bytes);
    return filled;
  }

  #send(message: MessageToThread, transferred: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, [...transferred]);
  }

  #watch(): void {
    const { slowMilliseconds, longestMilliseconds } = this.#options.limits;
    const slow = setTimeout(() => {
      this.#slow = true;
      this.#events.slow();
    }, slowMilliseconds);
    const longest = setTimeout(
      () => this.#giveUp(`did not end within ${longestMilliseconds / 1000} seconds`),
      longestMilliseconds,
    );
    this.#timers = [slow, longest];
    this.#watchStep();
  }

  #watchStep(): void {
    clearTimeout(this.#late);
    const { milliseconds } = this.#options.limits;
    this.#late = setTimeout(
      () => this.#giveUp(`did not answer within ${milliseconds / 1000} seconds`),
      milliseconds,
    );
  }

  #unwatch(): void {
    for (const timer of [...this.#timers.splice(0), this.#late]) clearTimeout(timer);
    this.#slow = false;
  }

  /** `why`: what the host did not do. */
  #giveUp(why: string): void {
    const job = this.#job;
    if (job === undefined) return;
    this.#unwatch();
    // This event loop stood still, not the host: the message has arrived, and is read next.
    if (!this.#state.giveUp()) return;
    this.#job = undefined;
    this.#abandoned = job;
    // A thread that hangs is no reason for the process to stay.
    this.#worker.unref();
    this.#options.report(`${job.name}: the host ${why}; its thread is left`);
    const ended = new Promise<void>((resolve) => {
      this.#endAbandoned = resolve;
    });
    const message = `the host's share or disk ${why}`;
    job.reject(new TaskFailure('late', message, { ended }));
    this.#events.slow();
  }

  #receive(message: MessageFromThread): void {
    if (message.kind === 'result' || message.kind === 'error') {
      this.#lent = [];
      this.#memory = message.memory;
    }
    switch (message.kind) {
      case 'ready':
        this.#ready = true;
        // Only work keeps the process alive.
        this.#worker.unref();
        this.#events.ready();
        return;
      case 'progress':
        if (this.#job?.id === message.id) this.#watchStep();
        return;
      case 'result':
        if (this.#job !== undefined) this.#settle((job) => job.resolve(message.result));
        else if (this.#abandoned !== undefined)
          this.#send({ kind: 'discard', name: this.#abandoned.name, result: message.result });
        return;
      case 'error':
        if (this.#job !== undefined) this.#settle((job) => job.reject(this.#options.decode(message.error)));
        else this.#returned(undefined);
        return;
      case 'discarded':
        this.#returned(message.failure);
        return;
    }
  }

  #settle(use: (job: Job) => void): void {
    const job = this.#job;
    this.#unwatch();
    this.#job = undefined;
    this.#worker.unref();
    this.#events.done();
    if (job !== undefined) use(job);
  }

  #returned(failure: string | undefined): void {
    const job = this.#abandoned;
    this.#abandoned = undefined;
    const left =
      failure === undefined ? 'its result is released' : `its result could not be released: ${failure}`;
    if (job !== undefined) this.#options.report(`${job.name}: the host answered late; ${left}`);
    this.#events.done();
    this.#endAbandoned();
  }

  /** Closes what was lent to a thread that has ended, and that it has not closed itself. */
  #closeLent(): void {
    for (const fd of this.#lent.slice(this.#state.closed)) this.#options.syscalls.close(fd);
  }

  #fail(error: unknown): void {
    this.#unwatch();
    this.#abandoned = undefined;
    this.#endAbandoned();
    const job = this.#job;
    this.#job = undefined;
    job?.reject(error);
  }
}
