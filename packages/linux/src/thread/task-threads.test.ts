import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordingSyscalls } from '../syscalls/fake.js';
import { TaskFailure, TaskThreads } from './task-threads.js';

const limits = { running: 2, hanging: 4, slowMilliseconds: 1_000, milliseconds: 20_000 };
const text = `
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ id }) => parentPort.postMessage({ kind: 'result', id, result: 'done' }));
  parentPort.postMessage({ kind: 'ready' });
`;
const program = new URL(`data:text/javascript,${encodeURIComponent(text)}`);

test('threads that cannot be created fail their own calls, however many, and later ones run', async () => {
  let isMissing = true;
  const threads = new TaskThreads({
    program: () => {
      if (isMissing) throw new Error('no thread');
      return program;
    },
    limits,
    syscalls: new RecordingSyscalls(),
    decode: (sent) => sent,
    report: (message) => assert.fail(message),
  });
  for (let call = 0; call <= limits.running; call += 1)
    await assert.rejects(threads.run('task', {}), TaskFailure);
  isMissing = false;
  assert.equal(await threads.run('task', {}), 'done');
  await threads.close();
});

test('a call whose descriptors cannot be duplicated keeps none of them', async () => {
  const open = new Set<number>();
  const syscalls = Object.assign(new RecordingSyscalls(), {
    duplicate: (fd: number): number => {
      if (fd === 9) throw new Error('EMFILE');
      open.add(fd + 100);
      return fd + 100;
    },
    close: (fd: number): void => void open.delete(fd),
  });
  const threads = new TaskThreads({
    program: () => program,
    limits,
    syscalls,
    decode: (sent) => sent,
    report: (message) => assert.fail(message),
  });
  await assert.rejects(threads.run('task', {}, [3, 4, 9]), /EMFILE/);
  assert.deepEqual([...open], []);
});
