import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { whyWithout } from '../harness/prerequisites.js';
import { cutPages, findSymbol, offsetOf } from '@kata-agent/tool-guest-image/node/elf';

const directory = mkdtempSync(join(tmpdir(), 'kata-elf-'));
after(() => rmSync(directory, { recursive: true }));

const page = 4096;

/**
 * A program that adds bytes from several places: before, at the start of, behind the removed pages and in writable
 * memory; with an argument, one in their middle.
 */
const source = `
  .section .rodata
  .globl before, table, behind
  before: .byte 1
  .size before, 1
  .balign 64
  table: .byte 2
  .zero ${40 * page}
  middle: .byte 16
  .zero ${40 * page}
  .size table, . - table
  behind: .byte 4
  .data
  written: .byte 8
  .text
  .globl _start
  _start:
  movzbl before, %edi
  addb table, %dil
  addb behind, %dil
  addb $0, written
  addb written, %dil
  cmpl $1, (%rsp)
  je end
  addb middle, %dil
  end:
  movl $60, %eax
  syscall
`;

function build(...options: readonly string[]): Buffer {
  const path = join(directory, 'program');
  const commands = [
    ['as', '-o', `${path}.o`, '-'],
    ['ld', '-z', 'separate-code', ...options, '-o', path, `${path}.o`],
  ] as const;
  for (const [command, ...args] of commands) {
    const { status, stderr } = spawnSync(command, args, { input: source, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }
  return readFileSync(path);
}

/** Returns its exit code, or the signal that ended it. */
function run(program: Buffer, ...args: readonly string[]): number | string | null {
  const path = join(directory, 'run');
  rmSync(path, { force: true });
  writeFileSync(path, program, { mode: 0o755 });
  const { status, signal } = spawnSync(path, args);
  return status ?? signal;
}

const missing =
  process.arch === 'x64'
    ? (whyWithout('binutils') ?? false)
    : `the program is of x86_64, not ${process.arch}`;

describe('a program with removed pages', { skip: missing }, () => {
  it('runs unchanged if it does not read them', () => {
    const whole = build('--build-id');
    const table = findSymbol(whole, /^table$/);
    assert.ok(table !== undefined);
    assert.equal(table.size, 80 * page + 2);
    assert.equal(whole[offsetOf(whole, table.address)], 2);
    assert.equal(run(whole), 15);
    assert.equal(run(whole, 'middle'), 31);

    const cut = cutPages(whole, table.address + 1, table.address + table.size);
    assert.ok(cut !== undefined);
    assert.ok(cut.length <= whole.length - 79 * page, `${whole.length} became ${cut.length}`);
    assert.equal(run(cut), 15);
    assert.equal(run(cut, 'middle'), 'SIGSEGV', 'the memory is not mapped');
    const behind = findSymbol(whole, /^behind$/);
    assert.equal(cut[offsetOf(cut, behind?.address ?? 0)], 4, 'data behind them keeps its address');
    assert.equal(findSymbol(cut, /^table$/), undefined, 'the section table does not show the gap');
  });

  it('is unchanged if there is no whole page to remove', () => {
    const whole = build('--build-id');
    const { address } = findSymbol(whole, /^table$/) ?? assert.fail('no table');
    assert.deepEqual(cutPages(whole, address + 1, address + page - 1), whole);
  });

  it('is not made without a spare header, or if there is nothing to remove', () => {
    const bare = build('--build-id=none');
    const { address, size } = findSymbol(bare, /^table$/) ?? assert.fail('no table');
    assert.equal(cutPages(bare, address, address + size), undefined);
    assert.equal(findSymbol(bare, /^icudt\d+_dat$/), undefined);
    assert.throws(() => cutPages(build('--build-id'), address, address + (1 << 24)), /no segment/);
    assert.throws(() => offsetOf(Buffer.from('#!/bin/sh\n'), 0), /not a 64-bit little-endian ELF file/);
  });
});
