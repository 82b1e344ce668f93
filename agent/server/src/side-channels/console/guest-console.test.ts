import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { guestConsole } from './guest-console.js';

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
