// The command that `npm run vm` runs once the agent listens.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { codeOf, messageOf } from '@kata-agent/tool-command/caught';

export interface CommandSettings {
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
