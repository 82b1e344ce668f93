import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { RecordingSyscalls } from '../syscalls/fake.js';
import { TaskFailure, type TaskThreadLimits, TaskThreads } from './task-threads.js';

const limits = {
  running: 2,
  hanging: 4,
  slowMilliseconds: 1_000,
  milliseconds: 20_000,
  longestMilliseconds: 60_000,
};
const text = `
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ id, bytes }) =>
    parentPort.postMessage({ kind: 'result', id, result: 'done', memory: bytes.buffer }, [bytes.buffer]));
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

test('what a task that hangs may still change is left to it until it has returned', async () => {
  const holding = `
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ kind, id, args, bytes }) => {
      if (args?.gate !== undefined) Atomics.wait(args.gate, 0, 0);
      if (kind === 'discard') parentPort.postMessage({ kind: 'discarded' });
      else parentPort.postMessage({ kind: 'result', id, result: 'done', memory: bytes.buffer });
    });
    parentPort.postMessage({ kind: 'ready' });
  `;
  const threads = new TaskThreads({
    program: () => new URL(`data:text/javascript,${encodeURIComponent(holding)}`),
    limits: { ...limits, milliseconds: 1_000 },
    syscalls: new RecordingSyscalls(),
    decode: (sent) => sent,
    report: () => undefined,
    changes: (_, args) => (args as { readonly place: string }).place,
  });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const late = await threads.run('mount', { place: 'a', gate }).catch((error: unknown) => error);
  assert.ok(late instanceof TaskFailure && late.reason === 'late');
  let hasEnded = false;
  const ended = late.ended?.then(() => {
    hasEnded = true;
  });
  await assert.rejects(threads.run('mount', { place: 'a' }), {
    reason: 'full',
    message: "an earlier call that changes a still waits for the host's share, disks or network",
  });
  assert.equal(await threads.run('mount', { place: 'b' }), 'done');
  assert.equal(hasEnded, false);
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  await Promise.all([ended, threads.settle()]);
  assert.equal(await threads.run('mount', { place: 'a' }), 'done');
  await threads.close();
});

/** Threads with the task `work`, the text of its function. */
function withTask(
  work: string,
  more: Partial<TaskThreadLimits>,
  syscalls = new RecordingSyscalls(),
): TaskThreads {
  const module = JSON.stringify(new URL('./serve-tasks.js', import.meta.url).href);
  const source = `
    import { serveTasks } from ${module};
    serveTasks({ work: { run: ${work} } }, { close() {} }, String);
  `;
  return new TaskThreads({
    program: () => new URL(`data:text/javascript,${encodeURIComponent(source)}`),
    limits: { ...limits, ...more },
    syscalls,
    decode: (sent) => sent,
    report: () => undefined,
  });
}

test('a thread that was given up and then ends by itself has ended', async () => {
  const threads = withTask('({ gate }) => { Atomics.wait(gate, 0, 0); process.exit(); }', {
    milliseconds: 500,
  });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const late = await threads.run('work', { gate }).catch((error: unknown) => error);
  assert.ok(late instanceof TaskFailure && late.ended !== undefined);
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  await Promise.all([late.ended, threads.settle()]);
  await threads.close();
});

test('a task that was given up does not take effect when its thread continues', async () => {
  const threads = withTask(
    `({ gate, effect }, { commit }) => {
       Atomics.wait(gate, 0, 0);
       commit();
       Atomics.store(effect, 0, 1);
     }`,
    { milliseconds: 1_000 },
  );
  const [gate, effect] = [0, 0].map(() => new Int32Array(new SharedArrayBuffer(4))) as [
    Int32Array,
    Int32Array,
  ];
  await assert.rejects(threads.run('work', { gate, effect }), { reason: 'late' });
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  await threads.settle();
  assert.equal(Atomics.load(effect, 0), 0);
  // The thread's next task is not given up.
  await threads.run('work', { gate, effect });
  assert.equal(Atomics.load(effect, 0), 1);
  await threads.close();
});

test('a task that has ended is not given up while its creator does not read its message', async () => {
  const threads = withTask('({ ended }, { commit }) => { commit(); Atomics.store(ended, 0, 1); }', {
    milliseconds: 300,
  });
  await threads.run('work', { ended: new Int32Array(new SharedArrayBuffer(4)) });
  const ended = new Int32Array(new SharedArrayBuffer(4));
  const result = threads.run('work', { ended });
  // Timers are due before messages are read when a callback of the loop has taken long.
  setImmediate(() => {
    const end = performance.now() + 600;
    while (performance.now() < end) Atomics.load(ended, 0);
  });
  await result;
  assert.equal(Atomics.load(ended, 0), 1);
  await threads.close();
});

test('a task that has finished is not given up, and one that was given up does not finish', async () => {
  const threads = withTask(
    `({ finished, gate }, { finish }) => {
       if (gate !== undefined) Atomics.wait(gate, 0, 0);
       finish();
       Atomics.store(finished, 0, 1);
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
     }`,
    { milliseconds: 300 },
  );
  const finished = new Int32Array(new SharedArrayBuffer(4));
  await threads.run('work', { finished });
  assert.equal(Atomics.exchange(finished, 0, 0), 1);
  const gate = new Int32Array(new SharedArrayBuffer(4));
  await assert.rejects(threads.run('work', { finished, gate }), { reason: 'late' });
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  await threads.settle();
  assert.equal(Atomics.load(finished, 0), 0);
  await threads.close();
});

test('each task gets its bytes, and one that was given up none of others', async () => {
  const threads = withTask(
    `({ gate, seen }, { bytes }) => {
       if (gate !== undefined) Atomics.wait(gate, 0, 0);
       seen?.set(bytes);
       return bytes.slice();
     }`,
    { milliseconds: 1_000 },
  );
  for (const size of [3, 1 << 20, 0, 5]) {
    const bytes = Uint8Array.from({ length: size }, (_, index) => index % 251);
    assert.deepEqual(await threads.run('work', {}, [], bytes), bytes);
  }
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const seen = new Uint8Array(new SharedArrayBuffer(4));
  await assert.rejects(threads.run('work', { gate, seen }, [], Uint8Array.of(1, 2, 3, 4)), {
    reason: 'late',
  });
  await threads.run('work', {}, [], Uint8Array.of(5, 6, 7, 8));
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  await threads.settle();
  assert.deepEqual([...seen], [1, 2, 3, 4]);
  await threads.close();
});

for (const [how, work, left] of [
  ['before it has closed any', '() => process.exit()', [103, 104, 105]],
  [
    'by an error outside of its task',
    '() => new Promise(() => setTimeout(() => { throw new Error("x"); }))',
    [103, 104, 105],
  ],
  ['after it has closed one', `(_, { lent }) => { lent[1].close = () => process.exit(); }`, [105]],
] as const)
  test(`descriptors that were lent to a thread that ends ${how} are closed once`, async () => {
    const closed: number[] = [];
    const syscalls = new RecordingSyscalls({
      duplicate: (fd) => fd + 100,
      close: (fd) => void closed.push(fd),
    });
    const threads = withTask(work, {}, syscalls);
    await assert.rejects(threads.run('work', {}, [3, 4, 5]));
    await threads.settle();
    assert.deepEqual(closed, left);
    await threads.close();
  });

/** Makes progress until the gate is opened; without a gate it ends at once. */
const goesOn = `({ gate }, { progress }) => {
  while (gate !== undefined && Atomics.wait(gate, 0, 0, 1) === 'timed-out') progress();
  return gate === undefined ? 'at once' : 'at the gate';
}`;

/** A gate, which is opened at last: a task that is not given up fails its test then. */
function gateFor(context: TestContext): { readonly gate: Int32Array; readonly open: () => void } {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const open = (): void => {
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
  };
  const timer = setTimeout(open, 20_000);
  context.after(() => clearTimeout(timer));
  return { gate, open };
}

test('tasks that make progress for long let others run', async (context) => {
  const threads = withTask(goesOn, {});
  const { gate, open } = gateFor(context);
  const long = [threads.run('work', { gate }), threads.run('work', { gate })];
  assert.equal(await Promise.race([threads.run('work', {}), ...long]), 'at once');
  open();
  assert.deepEqual(await Promise.all(long), ['at the gate', 'at the gate']);
  await threads.close();
});

test('a task that makes progress without end is given up, and its thread ends it', async (context) => {
  const threads = withTask(goesOn, { longestMilliseconds: 500 });
  const { gate } = gateFor(context);
  const late = await threads.run('work', { gate }).catch((error: unknown) => error);
  assert.ok(late instanceof TaskFailure && late.reason === 'late', String(late));
  assert.match(late.message, /did not end within 0\.5 seconds/);
  await Promise.all([late.ended, threads.settle()]);
  assert.equal(threads.hanging, 0);
  assert.equal(Atomics.load(gate, 0), 0);
  assert.equal(await threads.run('work', {}), 'at once');
  await threads.close();
});
