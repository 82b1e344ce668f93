import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { boot, type Image, imageOf, listening, poweredOff, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;

describe('a guest that never becomes ready is killed, with the reason', { skip }, () => {
  let directory = '';
  let image: Image;
  let count = 0;
  const machines: Machine[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-vm-never-'));
    image = await imageOf('bare', {});
  });

  after(async () => {
    for (const machine of machines) await machine.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Boots with a shell command as the first program. */
  async function first(line: string, ...append: readonly string[]): Promise<Machine> {
    const data = Buffer.from(`#!/bin/busybox sh\n${line}\n`);
    const machine = await boot(image, join(directory, String(++count)), {
      bare: true,
      overlay: [{ path: '/first', data, mode: 0o755 }],
      append: ['rdinit=/first', ...append],
    });
    machines.push(machine);
    return machine;
  }

  it('whose first program sleeps', async () => {
    const machine = await first('echo asleep; exec busybox sleep 100000');
    await machine.line(/^asleep$/);
    await assert.rejects(
      machine.line(listening, 3),
      /no console line matches .*listening.*: timeout after 3 s[^]*\nasleep\nhelp: /,
    );
    assert.equal(await machine.ended, null);
    await assert.rejects(poweredOff(machine), /timeout after 3 s/);
  });

  it('whose first program exits', async () => {
    const machine = await first('exit 0');
    await assert.rejects(machine.line(listening), /the guest's kernel panicked: Attempted to kill init!/);
    assert.equal(await poweredOff(machine), 0);
  });

  it('whose kernel halts after a panic', async () => {
    const machine = await first('exit 0', 'panic=0');
    await assert.rejects(machine.line(listening), /the guest's kernel panicked: Attempted to kill init!/);
    assert.equal(await machine.ended, null);
  });
});
