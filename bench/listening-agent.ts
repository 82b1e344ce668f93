import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { ownPlace } from './agent-program.js';
import { tracked } from './children.js';
import { agentCommand } from './node-command.js';
import { processorSeconds, residentMegabytes } from './processes.js';

/** An agent with a unix socket, and another listener. */
export interface ListeningAgent {
  readonly socket: string;
  readonly pid: number | undefined;
  /** Resident. */
  megabytes(): number;
  /** Time on a processor since its start. */
  processorSeconds(): number;
  /** With `probe`: the longest turn of its event loop since the last call, in milliseconds on a processor. */
  longestTurn(): Promise<number>;
}

interface AgentOptions {
  /** The agent, or a program that takes its options. */
  readonly program: string;
  /** A new directory. */
  readonly directory: string;
  /** `[[listener]]` entries beside that of the unix socket. */
  readonly listener: string;
  /** Whether turns of the event loop are measured. */
  readonly probe?: boolean;
  /** Methods that the unix socket serves. */
  readonly endpoints?: readonly string[];
  /** More of the configuration. */
  readonly more?: string;
  /** A command that executes the words after it. */
  readonly within?: readonly string[];
}

/** Runs an agent while `work` measures it, from a second after it listens. */
export async function withAgent<T>(
  {
    program,
    directory,
    listener,
    probe = false,
    endpoints = ['GetGuestDetails', 'ReadStdout'],
    more = '',
    within = [],
  }: AgentOptions,
  work: (agent: ListeningAgent) => T | Promise<T>,
): Promise<T> {
  mkdirSync(directory);
  const socket = `${directory}.sock`;
  const file = `${directory}.toml`;
  const own = `[[listener]]\nname = "host"\naddress = "unix://${socket}"\n`;
  const audit = `[audit]\nfile = "${directory}.audit"\n`;
  const api = `[api]\nrelease = "4.1"\nallowed_endpoints = ${JSON.stringify(endpoints)}\n`;
  writeFileSync(file, `${api}${audit}${more}${own}${listener}`, { mode: 0o600 });
  const turns = `${directory}.turn`;
  const imports = probe ? ['--import', fileURLToPath(new URL('turn-probe.js', import.meta.url))] : [];
  const options = ['-c', file, ...ownPlace(directory, socket).slice(2)];
  const [command = '', ...args] = [...within, ...agentCommand(program, imports), ...options];
  const child = tracked(
    spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...(probe ? { TURN_PROBE: turns } : {}) },
    }),
  );
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < 64 * 1024) output += text;
  });
  const exited = once(child, 'close');
  try {
    while (!existsSync(socket)) {
      if (child.exitCode !== null) throw new Error(`the agent ended before it listened:\n${output}`);
      await delay(5);
    }
    await delay(1_000);
    return await work({
      socket,
      pid: child.pid,
      megabytes: () => residentMegabytes(child.pid),
      processorSeconds: () => processorSeconds(child.pid),
      longestTurn: async () => {
        rmSync(turns, { force: true });
        child.kill('SIGUSR2');
        for (;;) {
          const text = existsSync(turns) ? readFileSync(turns, 'utf8') : '';
          if (text !== '') return Number(text);
          if (child.exitCode !== null) throw new Error(`the agent ended:\n${output}`);
          await delay(5);
        }
      },
    });
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}
