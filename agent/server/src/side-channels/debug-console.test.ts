import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { loadSyscalls, openPseudoTerminal, Terminal } from '@kata-agent/linux';
import { DebugConsole, guestConsole } from './debug-console.js';

const skip =
  existsSync('/dev/ptmx') || process.env['CI'] === 'true' ? false : 'needs pseudo-terminals (/dev/ptmx)';

describe('the debug console without a port', () => {
  it('is one shell on a terminal of the guest, whose end is logged', { skip }, async () => {
    const syscalls = loadSyscalls();
    const { master, path } = openPseudoTerminal(syscalls);
    const terminal = new Terminal(syscalls, master);
    const log: string[] = [];
    const console = new DebugConsole(syscalls, (_level, message, extras) => {
      log.push(`${message} ${extras?.['peer']} ${extras?.['status']}`);
    });
    const ended = new Promise<void>((resolve) => console.serveDevice(path, resolve));
    terminal.write('stty -echo; tty; exit 7\n');
    let text = '';
    for await (const chunk of terminal as AsyncIterable<Buffer>) text += chunk.toString();
    assert.match(text, new RegExp(`^${path}\r$`, 'm'));
    await ended;
    assert.deepEqual(log, [
      `debug console: a shell was started ${path} undefined`,
      `debug console: a shell has ended ${path} 7`,
    ]);
  });

  it('is the shell of the debugging extension, started by it, in a guest without one', { skip }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-agent-console-'));
    const [shell, busybox] = ['devkit-sh', 'busybox.static'].map((name) => join(directory, name));
    assert.ok(shell !== undefined && busybox !== undefined);
    // With "sh" before its arguments, as busybox is called.
    writeFileSync(busybox, '#!/bin/sh\ntest "$1" = sh && shift && exec /bin/sh "$@"\n', { mode: 0o755 });
    writeFileSync(shell, '#!/bin/sh\nprintf "devkit %s\\n" "$*"\nexec /bin/sh "$@"\n', { mode: 0o755 });
    const syscalls = loadSyscalls();
    const { master, path } = openPseudoTerminal(syscalls);
    const terminal = new Terminal(syscalls, master);
    const console = new DebugConsole(syscalls, () => undefined, {
      shells: ['/none/bash', shell, '/bin/sh'],
      starters: [['/none/sh'], [busybox, 'sh']],
    });
    try {
      const ended = new Promise<void>((resolve) => console.serveDevice(path, resolve));
      terminal.write('stty -echo; tty; exit\n');
      let text = '';
      for await (const chunk of terminal as AsyncIterable<Buffer>) text += chunk.toString();
      assert.match(text, /devkit -i\r$/m);
      // On the line of the prompt, or on its own if the terminal echoed the input after the prompt.
      assert.match(text, new RegExp(`(?:^|# )${path}\r$`, 'm'));
      await ended;
    } finally {
      console.close();
      rmSync(directory, { recursive: true });
    }
  });

  it('logs that there is no shell', async () => {
    const log: string[] = [];
    const shells = ['/none', '/no'];
    const console = new DebugConsole(loadSyscalls(), (_level, message) => log.push(message), { shells });
    await new Promise<void>((resolve) => console.serveDevice('/dev/null', resolve));
    console.close();
    assert.deepEqual(log, ['debug console: this guest has no shell']);
  });
});

it('the terminal of the guest’s console can control a session, unlike /dev/console', () => {
  const root = mkdtempSync(join(tmpdir(), 'guest-console-'));
  const file = (path: string, text = ''): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  try {
    assert.equal(guestConsole(root), '/dev/console', 'a kernel without consoles');
    file('sys/class/tty/console/active', 'tty0 hvc0\n');
    assert.equal(guestConsole(root), '/dev/console', 'its device does not exist');
    file('dev/hvc0');
    file('dev/tty0');
    assert.equal(guestConsole(root), '/dev/hvc0', 'the last one is that of /dev/console');
    file('sys/class/tty/console/active', '\n');
    assert.equal(guestConsole(root), '/dev/console');
  } finally {
    rmSync(root, { recursive: true });
  }
});
