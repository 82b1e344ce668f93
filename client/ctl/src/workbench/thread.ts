import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Options, reasonOf } from '@kata-agent/cli';
import type { Job, JobResult } from './evaluator.js';

/**
 * The program of the thread, which is this module itself: imported elsewhere, it only has this address. A bundle has it as a file of
 * its own, since it is imported on demand.
 */
export const threadProgram: URL = new URL(import.meta.url);

if (parentPort !== null) serve(parentPort);

function serve(port: MessagePort): void {
  const options = new Options(workerData as Record<string, unknown>);
  port.on('message', (job: Job) => {
    const result = async (): Promise<JobResult> => {
      try {
        const { answer } = await import('./answer.js');
        return { ok: true, answer: await answer(job.kind, job.question, options) };
      } catch (error) {
        return { ok: false, message: reasonOf(error) };
      }
    };
    void result().then((done) => port.postMessage(done));
  });
}
