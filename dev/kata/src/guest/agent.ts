// An agent in namespaces of its own, for clients that connect to a unix socket.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';
import { agentProgram, openConfiguration } from './paths.js';

export class Agent {
  readonly socket: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(socket: string, child: ChildProcess) {
    this.socket = socket;
    this.#process = child;
    this.#ended = once(child, 'exit');
  }

  /** Starts an agent that serves everything, and waits until it listens. */
  static async start(directory: string): Promise<Agent> {
    const socket = join(directory, 'agent.sock');
    const namespaces =
      '--mount --net --uts --ipc --pid --fork --mount-proc --kill-child --propagation private';
    const child = spawnWithParentDeathSignal(
      'unshare',
      [
        ...namespaces.split(' '),
        'sh',
        '-c',
        'mount -t tmpfs -o mode=755 kata /run && { "$0" "$@" & wait; }',
        process.execPath,
        agentProgram,
        '-c',
        openConfiguration,
        '--server-addr',
        `unix://${socket}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const agent = new Agent(socket, child);
    const lines: string[] = [];
    const { stderr } = child;
    if (stderr === null) throw new Error('the agent has no pipe for its log');
    const listening = new Promise<boolean>((resolve) => {
      createInterface({ input: stderr }).on('line', (line) => {
        lines.push(line);
        if (line.includes('"msg":"listening"')) resolve(true);
      });
    });
    if (!(await Promise.race([listening, agent.#ended.then(() => false)])))
      throw new Error(`the agent ended before it listened:\n${lines.join('\n')}`);
    return agent;
  }

  async stop(): Promise<void> {
    // unshare, whose end kills PID 1 of the namespace.
    this.#process.kill('SIGKILL');
    await this.#ended;
  }
}
