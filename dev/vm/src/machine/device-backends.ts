// The programs behind a machine's devices: swtpm for its TPM, virtiofsd for a directory that it shares.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileOf, inPath } from '@kata-agent/setup/prerequisites';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';

/** A TPM that QEMU can connect to. */
export interface Tpm {
  readonly process: ChildProcess;
  /** Arguments for QEMU. */
  readonly args: readonly string[];
}

/** Attempts to connect to its socket, 10 ms apart: a minute. */
const maxAttempts = 6000;

/**
 * Starts a TPM. It stores its keys in the directory `state`; its registers are reset with each start, as in
 * hardware. Its socket and its log are in `directory`. Resolves when QEMU can connect.
 */
export async function startTpm(directory: string, state: string): Promise<Tpm> {
  if (!inPath('swtpm')) throw new Error('swtpm: no such program in PATH\nhelp: install the package swtpm');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const socket = join(directory, 'tpm.sock');
  const child = spawnWithParentDeathSignal(
    'swtpm',
    [
      // A relative path, because swtpm ends a path at a comma.
      ['socket', '--tpm2', '--tpmstate', 'dir=.', '--log', `file=${join(directory, 'swtpm.log')}`],
      ['--ctrl', `type=unixio,path=${socket}`],
    ].flat(),
    { cwd: state, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  for (let attempt = 0; !(await listens(socket)); attempt++) {
    if (child.exitCode !== null || attempt === maxAttempts) {
      child.kill('SIGKILL');
      throw new Error(`swtpm did not start with the keys in ${state}`);
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

async function listens(path: string): Promise<boolean> {
  const socket = connect(path);
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return connected;
}

// virtiofsd, which is not in PATH. Debian 12 has QEMU's implementation in C, later releases the one in Rust;
// the options differ.

/** A program and its arguments. */
interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** Returns the command that shares a directory over a socket. */
export function virtiofsdCommand(
  socket: string,
  directory: string,
  program: string = fileOf('virtiofsd'),
): Command {
  const isQemuVersion = program.startsWith('/usr/lib/qemu/');
  const args = isQemuVersion
    ? [
        `--socket-path=${socket}`,
        '-o',
        `source=${directory}`,
        '-o',
        'sandbox=chroot,cache=auto',
        '-o',
        'log_level=warn',
      ]
    : [
        ['--socket-path', socket, '--shared-dir', directory, '--sandbox', 'none'],
        ['--cache', 'auto', '--log-level', 'warn'],
      ].flat();
  return { program, args };
}
