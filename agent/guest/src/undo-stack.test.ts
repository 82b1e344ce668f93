import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UndoStack } from './undo-stack.js';

test('all steps are undone once, in reverse order', async () => {
  const done: string[] = [];
  const made = new UndoStack();
  made.push('first', () => {
    done.push('first');
  });
  made.push('second', async () => {
    throw new Error('stuck');
  });
  made.push('third', async () => {
    done.push('third');
  });
  const failures = await made.unwind();
  assert.deepEqual(done, ['third', 'first']);
  assert.deepEqual(
    failures.map(({ message }) => message),
    ['could not undo: second: stuck'],
  );
  assert.ok(made.empty);
  assert.deepEqual(await made.unwind(), []);
});
