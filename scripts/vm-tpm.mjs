// A TPM in software for a virtual machine.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { inPath } from './bootstrap.mjs';
import { spawnTied } from './vm-spawn.mjs';

/** How often its socket is looked for, every 10 ms; it takes a few. */
const looks = 6000;

/**
 * Starts one that keeps its keys in `state`, a folder; its registers begin anew with each machine, as in hardware. Answers
 * when QEMU can connect: the process, and QEMU's arguments. `folder`: for its socket.
 */
export async function startTpm(folder, state) {
  if (!inPath('swtpm')) throw new Error('there is no swtpm: install the package swtpm');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const socket = join(folder, 'tpm.sock');
  const child = spawnTied(
    'swtpm',
    [
      // Not by its path, in which it would take a comma for the end.
      ['socket', '--tpm2', '--tpmstate', 'dir=.', '--log', `file=${join(folder, 'swtpm.log')}`],
      ['--ctrl', `type=unixio,path=${socket}`],
    ].flat(),
    { cwd: state, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  for (let look = 0; !(await listens(socket)); look++) {
    if (child.exitCode !== null || look === looks) {
      child.kill('SIGKILL');
      throw new Error(`swtpm did not start, with its keys in ${state}`);
    }
    await pause(10);
  }
  return {
    process: child,
    args: [
      ['-chardev', `socket,id=tpm,path=${socket}`],
      ['-tpmdev', 'emulator,id=tpm0,chardev=tpm', '-device', 'tpm-crb,tpmdev=tpm0'],
    ].flat(),
  };
}

async function listens(path) {
  const socket = connect(path);
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return connected;
}
