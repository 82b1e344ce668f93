// At most one machine of `npm run vm` runs per directory: its process listens on `stop.sock` there, and
// `npm run vm -- --stop` ends the machine through that socket.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { codeOf, messageOf } from '@kata-agent/tool-command/command-line';
import { connectIfListening, listenExclusively } from '@kata-agent/tool-command/exclusive-socket';

function socketIn(directory: string): string {
  return join(directory, 'stop.sock');
}

/**
 * Locks a directory for this process. `stop` is called for each stop request. Returns a function that unlocks
 * the directory and closes the connections of the requests, which tells their senders that the machine is off.
 * Throws if a machine already runs there.
 */
export async function lockDirectory(directory: string, stop: () => void): Promise<() => void> {
  const requests = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    // A connection without data only checks whether a machine runs (`listenExclusively`).
    socket.once('data', () => {
      requests.add(socket);
      stop();
    });
  });
  if (!(await listenExclusively(server, socketIn(directory))))
    throw new Error(
      `a machine already runs in ${directory}\nhelp: stop it with \`npm run vm -- --stop\`, or choose another --directory`,
    );
  return () => {
    server.close();
    for (const socket of requests) socket.destroy();
  };
}

/** Stops the machine that runs in a directory, and waits until it is off. Returns false if none runs there. */
export async function stopMachineIn(directory: string): Promise<boolean> {
  const socket = await connectIfListening(socketIn(directory));
  if (socket === undefined) return false;
  socket.write('stop\n');
  await once(socket.resume(), 'close');
  return true;
}

// The command that `npm run vm` runs once the agent listens.

interface CommandSettings {
  readonly env: NodeJS.ProcessEnv;
  /** Resolves with a signal's name or another reason if the command must be terminated. */
  readonly stopRequested: Promise<string>;
}

/**
 * Runs a command and returns its exit code as a shell does: 127 if not found, 126 if not executable, 128 plus a
 * signal.
 */
export async function runCommand(
  [program, ...args]: readonly [program: string, ...args: readonly string[]],
  { env, stopRequested }: CommandSettings,
): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env });
  try {
    await once(child, 'spawn');
  } catch (error) {
    const isMissing = codeOf(error) === 'ENOENT';
    console.error(`${program}: ${isMissing ? 'command not found' : messageOf(error)}`);
    return isMissing ? 127 : 126;
  }
  // On Ctrl-C the terminal sends SIGINT to the command as well.
  void stopRequested.then((reason) => reason !== 'SIGINT' && child.kill());
  return await new Promise((resolve) => {
    child.once('close', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
