import { Worker } from 'node:worker_threads';
import type { Question, QuestionKind } from '@kata-agent/workbench-page/messages';

export interface Job {
  readonly kind: QuestionKind;
  readonly question: Question;
}

/** `superseded`: a later question of the same kind came before this one was begun. */
export type JobResult =
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: false; readonly message: string; readonly superseded?: true };

interface Waiting extends Job {
  readonly resolve: (result: JobResult) => void;
}

export interface EvaluatorOptions {
  readonly program: URL;
  /** Passed to the thread. */
  readonly data: object;
  readonly limitMs: number;
}

const closed: JobResult = { ok: false, message: 'the workbench ends' };

/**
 * Answers questions in a thread, one after the other. A thread that takes longer than the limit is ended; the next question starts
 * another. Of each kind at most one question waits, the latest.
 */
export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #waiting = new Map<QuestionKind, Waiting>();
  #worker: Worker | undefined;
  #isBusy = false;
  #isClosed = false;

  constructor(options: EvaluatorOptions) {
    this.#options = options;
  }

  evaluate(job: Job): Promise<JobResult> {
    if (this.#isClosed) return Promise.resolve(closed);
    return new Promise((resolve) => {
      this.#waiting.get(job.kind)?.resolve({ ok: false, message: 'a later question came', superseded: true });
      this.#waiting.delete(job.kind);
      this.#waiting.set(job.kind, { ...job, resolve });
      void this.#work();
    });
  }

  /** Ends the thread; what was asked and not answered fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { resolve } of this.#waiting.values()) resolve(closed);
    this.#waiting.clear();
    await this.#end();
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let [next] = this.#waiting.values(); next !== undefined; [next] = this.#waiting.values()) {
      this.#waiting.delete(next.kind);
      next.resolve(await this.#ask({ kind: next.kind, question: next.question }));
    }
    this.#isBusy = false;
  }

  #ask(job: Job): Promise<JobResult> {
    const { program, data, limitMs } = this.#options;
    const worker = (this.#worker ??= new Worker(program, { workerData: data, stdin: true }));
    return new Promise((resolve) => {
      const finish = (result: JobResult): void => {
        clearTimeout(timer);
        worker.off('message', finish);
        worker.off('error', onError);
        worker.off('exit', onExit);
        resolve(result);
      };
      const fail = (message: string): void => {
        void this.#end().then(() => finish({ ok: false, message }));
      };
      const onError = (error: Error): void => fail(`the evaluation failed: ${error.message}`);
      const onExit = (): void => fail('the evaluation ended');
      const timer = setTimeout(() => {
        // Its end is no other failure.
        worker.off('exit', onExit);
        fail(`the evaluation was ended: it took longer than ${limitMs / 1000} s`);
      }, limitMs);
      worker.on('message', finish);
      worker.on('error', onError);
      worker.on('exit', onExit);
      worker.postMessage(job, []);
    });
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}
