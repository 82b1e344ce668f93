import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { openPseudoTerminal, type Syscalls, Terminal } from '@kata-agent/linux';
import type { Log } from '../log.js';

/** Those of Kata's agent. The first that is there is taken. */
const usualShells = ['/bin/bash', '/bin/sh'];

/** Nothing of the agent's own environment. */
const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  TERM: 'xterm',
};

/** What the shell printed at its end is still read for so long. */
const lastWordsMs = 500;

/** The descriptor of a shell becomes its controlling terminal when the leader of a session opens it. */
const onTerminal = 'exec "$0" -i <"$1" >"$1" 2>&1';

/**
 * A shell in the guest for people (the settings `debug_console` and `debug_console_vport`): one for each connection, on a
 * terminal of its own. It can do whatever root can do, so that it is there only when a configuration says so (S21).
 */
export class DebugConsole {
  readonly #syscalls: Syscalls;
  readonly #log: Log;
  readonly #shell: string | undefined;
  readonly #running: Set<ChildProcess> = new Set();

  constructor(syscalls: Syscalls, log: Log, shells: readonly string[] = usualShells) {
    this.#syscalls = syscalls;
    this.#log = log;
    this.#shell = shells.find((path) => existsSync(path));
    if (this.#shell === undefined)
      log('error', 'debug console: this guest has no shell', { looked: shells.join() });
  }

  /** A shell for a connection, which ends with it. */
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
    // A program in the background may keep the terminal; the session is over all the same.
    child.once('exit', () => setTimeout(() => terminal.destroy(), lastWordsMs).unref());
    for (const event of ['end', 'close']) socket.on(event, () => kill(child));
  };

  /** A shell on a terminal of the guest, once. `ended` is told of its end, also when there is none. */
  serveDevice(path: string, ended: () => void): void {
    if (this.#shell === undefined) ended();
    else this.#start(this.#shell, path, path).once('close', ended);
  }

  /** Ends all shells. */
  close(): void {
    for (const child of this.#running) kill(child);
  }

  #start(shell: string, path: string, peer: string): ChildProcess {
    const child = spawn('/bin/sh', ['-c', onTerminal, shell, path], {
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

/** The shell and what it runs in the foreground: all get the hang-up of their terminal when the shell is gone. */
function kill(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
}
