// What `npm run vm` runs while its machine is up.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';

/**
 * Runs a command to its end, and answers its exit code as a shell tells it. `endWished`: resolves with a signal's name, or
 * another word, when the command should end before.
 */
export async function runCommand([program, ...args], { env, endWished }) {
  const child = spawn(program, args, { stdio: 'inherit', env });
  try {
    await once(child, 'spawn');
  } catch (error) {
    console.error(`${program}: ${error.code === 'ENOENT' ? 'there is no such command' : error.message}`);
    return error.code === 'ENOENT' ? 127 : 126;
  }
  // At Ctrl-C the terminal tells the command too.
  void endWished.then((wish) => wish !== 'SIGINT' && child.kill());
  const [code, signal] = await once(child, 'close');
  return code ?? 128 + constants.signals[signal];
}
