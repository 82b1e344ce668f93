import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SandboxClaim } from '@kata-agent/guest';
import { hasCode, lockHolder, processStat, type Syscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';

const longestCommandLine = 200;

/** Lost with the boot, and no request can mount it (S10). */
export const defaultStateDirectory = '/run/kata-agent';

/** The file that is locked. */
export const lockName = 'lock';

/**
 * How often, and at which interval, a lock without a visible holder is retried: a child that a killed agent had forked
 * holds it until its execve.
 */
const attempts = 100;
const pauseMs = 20;

/**
 * Locks the state directory for the lifetime of this process: creates it if needed (mode 0700), and locks `lock` in it.
 * The kernel releases the lock with the process, so that a lock is never stale; children do not inherit the descriptor
 * (close-on-exec). Nothing else in the directory is read or changed.
 *
 * @throws CannotApply if another process has the lock, or if other users can access the directory or its lock file.
 */
export async function takeStateDirectory(path: string, syscalls: Syscalls): Promise<void> {
  makeDirectory(path);
  const fd = openLock(join(path, lockName));
  try {
    for (let attempt = 1; !tryLock(fd, path, syscalls); attempt += 1) {
      const { text, dying } = lockOwner(fd, readNote(fd));
      if (!dying || attempt >= attempts) {
        throw new CannotApply(`the state directory ${path} is in use by another agent: ${text}`, {
          help: `stop that agent first; for development and tests, pass another directory: --state-dir DIR`,
        });
      }
      await delay(pauseMs);
    }
    ftruncateSync(fd);
    writeSync(fd, `${process.pid} (${commandOf('self')})\n`, 0);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function makeDirectory(path: string): void {
  const help = 'choose a directory whose parent exists and is writable by this user: --state-dir DIR';
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw cannotUse(`state directory ${path}`, messageOf(error), help, error);
  }
  const found = lstatSync(path);
  if (!found.isDirectory())
    throw cannotUse(`state directory ${path}`, 'it is not a directory, or it is a symbolic link', help);
  checkOwner(`state directory ${path}`, found);
  if ((found.mode & 0o022) !== 0) {
    const mode = (found.mode & 0o7777).toString(8);
    throw cannotUse(
      `state directory ${path}`,
      `other users can write to it (mode ${mode})`,
      `chmod go-w ${path}, or choose another directory`,
    );
  }
}

/** O_NONBLOCK: a FIFO in its place must fail, not wait for a writer. */
function openLock(path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  const name = `lock file ${path}`;
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o600);
  } catch (error) {
    throw cannotUse(name, messageOf(error), `remove it if no agent is running`, error);
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw cannotUse(name, 'it is not a regular file', 'remove it');
    checkOwner(name, found);
    // A user who can open it can lock it.
    if ((found.mode & 0o077) !== 0) fchmodSync(fd, 0o600);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function tryLock(fd: number, path: string, syscalls: Syscalls): boolean {
  try {
    return syscalls.tryLock(fd);
  } catch (error) {
    const help = 'choose a directory on a file system with locks, such as tmpfs';
    throw cannotUse(`lock file ${join(path, lockName)}`, messageOf(error), help, error);
  }
}

function checkOwner(name: string, { uid }: Stats): void {
  const own = process.geteuid?.();
  if (uid === own) return;
  throw cannotUse(
    name,
    `it belongs to uid ${uid}, and this agent is uid ${own}`,
    'remove it, or choose another directory',
  );
}

function readNote(fd: number): string {
  const bytes = Buffer.alloc(512);
  return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
}

function cannotUse(name: string, reason: string, help: string, cause?: unknown): CannotApply {
  return new CannotApply(`the ${name} cannot be used: ${reason}`, { help, cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The process that holds a lock. `dying`: it was not found, so that the lock may be free soon. */
interface LockOwner {
  readonly text: string;
  readonly dying: boolean;
}

/**
 * Names the holder of the lock on an open file. `written`: the holder's own note in the file, for a process that is not
 * visible.
 */
function lockOwner(fd: number, written = ''): LockOwner {
  const pid = lockHolder(fstatSync(fd));
  if (pid === undefined) {
    const note = printable(written);
    const text = `a process in another PID namespace${note === '' ? '' : ` (there: process ${note})`}`;
    return { text, dying: true };
  }
  const state = processStat(pid)?.state;
  const dying = state === undefined || state === 'Z' || state === 'X';
  return { text: `process ${pid} (${commandOf(pid)})`, dying };
}

/** Returns the command line of a process, or its name if it has none (any more). */
function commandOf(pid: number | 'self'): string {
  const command = printable(read(pid, 'cmdline').replaceAll('\0', ' '));
  return command === '' ? printable(read(pid, 'comm')) || 'unknown' : command;
}

function read(pid: number | 'self', name: 'cmdline' | 'comm'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return '';
    throw error;
  }
}

/** Returns one line for a message: a process can write anything into its command line. */
function printable(text: string): string {
  const line = text.replaceAll(/[\p{C}\s]+/gu, ' ').trim();
  return line.length > longestCommandLine ? `${line.slice(0, longestCommandLine)}…` : line;
}

/**
 * Locks Kata's directory until the process ends. Agents with different state directories still share it, since its
 * paths are part of the wire contract: the first agent that changes anything locks it, and the others serve only calls
 * that change nothing.
 */
export function sandboxClaim(syscalls: Syscalls): SandboxClaim {
  let held = false;
  return {
    get held() {
      return held;
    },
    take(directory) {
      if (held) return undefined;
      mkdirSync(directory, { recursive: true, mode: 0o755 });
      const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        held = syscalls.tryLock(fd);
        if (held) return undefined;
        return (
          `another agent on this machine has its sandbox in ${directory}: ${lockOwner(fd).text}; ` +
          'stop it first, or start this agent in a mount namespace with its own directory there'
        );
      } finally {
        if (!held) closeSync(fd);
      }
    },
  };
}
