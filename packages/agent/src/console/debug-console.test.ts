import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { loadSyscalls, openPseudoTerminal, Terminal } from '@kata-agent/linux';
import { DebugConsole } from './debug-console.js';

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

  it('is none without a shell, and says so', async () => {
    const log: string[] = [];
    const console = new DebugConsole(loadSyscalls(), (_level, message) => log.push(message), [
      '/none',
      '/no',
    ]);
    await new Promise<void>((resolve) => console.serveDevice('/dev/null', resolve));
    console.close();
    assert.deepEqual(log, ['debug console: this guest has no shell']);
  });
});
