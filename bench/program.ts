import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { tracked } from './children.js';

/** A server that runs until its standard input ends. */
export interface RunningProgram {
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a server and waits for its line `ready`. */
export async function startProgram(command: string, args: readonly string[]): Promise<RunningProgram> {
  const child = tracked(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  const exited = once(child, 'exit');
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`${command} ended with ${String(code)} before it was ready`)),
    );
  });
  return {
    child,
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

/** Runs a program to completion and returns the JSON that it printed. Its standard input ends with this process. */
export async function runForJson(command: string, args: readonly string[]): Promise<unknown> {
  const child = tracked(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}`);
  return JSON.parse(text);
}
