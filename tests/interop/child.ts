import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A program that serves until its standard input ends, and prints a line when it is ready. */
export interface Service {
  readonly process: ChildProcess;
  /** Ends its standard input and waits for its exit. */
  stop(): Promise<void>;
}

/** Starts a program and waits for its line `ready`. */
export async function startService(command: string, args: readonly string[]): Promise<Service> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (line === 'ready') resolve();
    });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`${command} ended before it was ready: ${code ?? signal}`)),
    );
  });
  await ready;
  return {
    process: child,
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

/** Runs a program to completion and returns its output. Rejects with its standard error if it fails. */
export async function output(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.stderr += text;
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${String(code ?? signal)}: ${texts.stderr}`);
  return texts.stdout;
}
