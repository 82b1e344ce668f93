import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { hasCode, openPseudoTerminal, searchPath, type Syscalls, Terminal } from '@kata-agent/linux';
import type { Log } from '../log.js';

const everyConsole = '/dev/console';

/** Where Kata's guest extension with debugging tools is mounted: read-only, before the agent starts. */
const devkit = '/run/kata-extensions/devkit/bin';

/** The shells of Kata's agent (Kata 4.1, src/agent/src/console.rs). The first existing one is used. */
const defaultShells: readonly string[] = [`${devkit}/devkit-sh`, '/bin/bash', '/bin/sh'];

/** A program that puts a shell on its terminal, with its first arguments. */
type Starter = readonly [program: string, ...args: string[]];

/** An image without a shell has the one that the extension starts with. */
const defaultStarters: readonly Starter[] = [['/bin/sh'], [`${devkit}/busybox.static`, 'sh']];

/** What to use if it exists, the first preferred. */
interface Candidates {
  readonly shells?: readonly string[];
  readonly starters?: readonly Starter[];
}

interface Shell {
  readonly path: string;
  readonly starter: Starter;
}

/** The shell's environment: nothing of the agent's own. */
const environment = {
  PATH: searchPath,
  HOME: '/root',
  TERM: 'xterm',
};

/** How long the last output of a finished shell is still read. */
const lastOutputMs = 500;

/** A session leader that opens the shell's terminal gets it as controlling terminal. */
const onTerminal = 'exec "$0" -i <"$1" >"$1" 2>&1';

/**
 * An interactive shell in the guest (the settings `debug_console` and `debug_console_vport`): one per connection, each
 * on its own terminal. It has root access, so that it exists only if a configuration enables it (S21).
 */
export class DebugConsole {
  readonly #syscalls: Syscalls;
  readonly #log: Log;
  readonly #shell: Shell | undefined;
  readonly #running: Set<ChildProcess> = new Set();

  constructor(
    syscalls: Syscalls,
    log: Log,
    { shells = defaultShells, starters = defaultStarters }: Candidates = {},
  ) {
    this.#syscalls = syscalls;
    this.#log = log;
    const path = shells.find((each) => existsSync(each));
    const starter = starters.find(([program]) => existsSync(program));
    if (path !== undefined && starter !== undefined) this.#shell = { path, starter };
    if (this.#shell === undefined)
      log('error', 'debug console: this guest has no shell', { looked: shells.join() });
  }

  /** Runs a shell for a connection; it ends with the connection. */
  readonly accept = (socket: Socket, { peer }: { readonly peer: string }): void => {
    const shell = this.#shell;
    if (shell === undefined) {
      socket.destroy();
      return;
    }
    const { master, path } = openPseudoTerminal(this.#syscalls);
    const terminal = new Terminal(this.#syscalls, master);
    const child = this.#start(shell, path, peer);
    socket.pipe(terminal);
    terminal.pipe(socket);
    terminal.on('error', () => socket.destroy());
    terminal.on('close', () => socket.end());
    // A background program can keep the terminal open; the session ends anyway.
    child.once('exit', () => setTimeout(() => terminal.destroy(), lastOutputMs).unref());
    for (const event of ['end', 'close']) socket.on(event, () => kill(child));
  };

  /** Runs a single shell on a terminal of the guest. `ended` is called at its end, also if there is no shell. */
  serveDevice(path: string, ended: () => void): void {
    if (this.#shell === undefined) ended();
    else this.#start(this.#shell, path, path).once('close', ended);
  }

  /** Ends all shells. */
  close(): void {
    for (const child of this.#running) kill(child);
  }

  #start({ path: shell, starter }: Shell, path: string, peer: string): ChildProcess {
    const [program, ...args] = starter;
    const child = spawn(program, [...args, '-c', onTerminal, shell, path], {
      // The leader of a session of its own.
      detached: true,
      stdio: 'ignore',
      env: environment,
      cwd: '/',
    });
    this.#running.add(child);
    this.#log('warn', 'debug console: a shell was started', { shell, peer, shellPid: child.pid });
    child.on('error', (error) => this.#log('error', 'debug console', { error: error.message }));
    child.once('exit', (code, signal) => {
      this.#running.delete(child);
      this.#log('info', 'debug console: a shell has ended', { peer, status: signal ?? code ?? '' });
    });
    return child;
  }
}

/** Kills the shell and its foreground processes: they get SIGHUP from their terminal when the shell is gone. */
function kill(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
}

/**
 * Returns the terminal behind /dev/console, below `root`: the last one that the kernel writes to
 * (Documentation/ABI/testing/sysfs-tty). /dev/console itself cannot be a controlling terminal, and without one a shell
 * ignores Ctrl-C.
 */
export function guestConsole(root: string = '/'): string {
  const terminal = join('/dev', activeConsoles(root).at(-1) ?? 'console');
  return existsSync(join(root, terminal)) ? terminal : everyConsole;
}

function activeConsoles(root: string): readonly string[] {
  try {
    const text = readFileSync(join(root, 'sys/class/tty/console/active'), 'latin1').trim();
    return text === '' ? [] : text.split(' ');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
