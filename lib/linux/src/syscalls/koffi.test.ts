import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadSyscalls } from '../index.js';
import { loadCLibrary } from './koffi.js';

const library = loadCLibrary();

test('a function that the library may lack is undefined if it does', () => {
  assert.equal(library.findOptional('int kata_agent_has_no_such_function(int a)'), undefined);
  assert.equal(library.findOptional('int getpid()')?.(), process.pid);
});

test('memory that was freed is returned to the kernel', {
  skip: isMusl() && 'musl has no malloc_trim',
}, () => {
  const calloc = library.find('uintptr_t calloc(size_t count, size_t size)');
  const free = library.find('void free(uintptr_t block)');
  // Small blocks, which come from the heap, with one behind them that keeps the heap from shrinking.
  const blocks = Array.from({ length: 4_000 }, () => calloc(1, 4_096));
  const last = calloc(1, 4_096);
  for (const block of blocks) free(block);
  const before = residentBytes();
  loadSyscalls().releaseFreedMemory();
  assert.ok(before - residentBytes() > 8e6, `${before}, then ${residentBytes()}`);
  free(last);
});

function isMusl(): boolean {
  return library.findOptional('int malloc_trim(size_t pad)') === undefined;
}

function residentBytes(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}
