// An agent in namespaces of its own, for clients that connect to a unix socket.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';
import { agentProgram, namespaceOptions, openConfiguration, ownRoot } from './paths.js';

const startSeconds = 60;

export class Agent {
  readonly socket: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #lines: string[] = [];

  private constructor(socket: string, child: ChildProcess) {
    this.socket = socket;
    this.#process = child;
    this.#ended = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#lines.push(line));
  }

  /** Starts this agent, which serves everything, and waits until it listens. */
  static async start(directory: string): Promise<Agent> {
    const socket = join(directory, 'agent.sock');
    const address = `unix://${socket}`;
    const agent = Agent.#spawn(directory, socket, [
      process.execPath,
      agentProgram,
      '-c',
      openConfiguration,
      '--server-addr',
      address,
    ]);
    await agent.#until(() => agent.#lines.some((line) => line.includes('"msg":"listening"')));
    return agent;
  }

  /** Starts Kata's agent. `policy`: Rego that allows everything, if it has been built with policies. */
  static async startKata(directory: string, program: string, policy: string | undefined): Promise<Agent> {
    const socket = join(directory, 'kata-agent.sock');
    const agent = Agent.#spawn(directory, socket, [program], {
      KATA_AGENT_SERVER_ADDR: `unix://${socket}`,
      ...(policy === undefined ? {} : { KATA_AGENT_POLICY_FILE: policy }),
    });
    await agent.#until(() => existsSync(socket));
    return agent;
  }

  static #spawn(
    directory: string,
    socket: string,
    command: readonly string[],
    variables: Readonly<Record<string, string>> = {},
  ): Agent {
    const child = spawnWithParentDeathSignal(
      'unshare',
      [
        ...namespaceOptions('net', 'uts', 'ipc'),
        'sh',
        '-c',
        // As PID 1 an agent would mount the file systems of a guest.
        `${ownRoot}"$@" & wait`,
        'sh',
        directory,
        '',
        ...command,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...variables } },
    );
    return new Agent(socket, child);
  }

  async #until(listens: () => boolean): Promise<void> {
    for (let tries = 0; !listens(); tries += 1) {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null || tries > startSeconds * 10)
        throw new Error(`the agent does not listen:\n${this.#lines.slice(-20).join('\n')}`);
      await sleep(100);
    }
  }

  async stop(): Promise<void> {
    // unshare, whose end kills PID 1 of the namespace.
    this.#process.kill('SIGKILL');
    await this.#ended;
  }
}
