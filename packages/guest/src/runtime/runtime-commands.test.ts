import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { RuntimeCommands } from './runtime-commands.js';

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** Creates that hang until they are given up, and what became of each. */
function hangingCreates(t: TestContext, count: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const commands = new RuntimeCommands();
  const outcomes = new Map<string, string>();
  const create = (
    container: string,
    task: (signal: AbortSignal) => Promise<void>,
    call?: AbortSignal,
  ): void => {
    commands.run({ container, command: 'create', call }, task).then(
      () => outcomes.set(container, 'made'),
      (error: Error) => outcomes.set(container, error.message),
    );
  };
  const hang = (signal: AbortSignal): Promise<void> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  for (let number = 0; number < count; number += 1) create(`hangs${number}`, hang);
  const tick = async (seconds: number): Promise<void> => {
    await turn();
    t.mock.timers.tick(seconds * 1000);
    await turn();
  };
  return { create, hang, outcomes, tick };
}

const made = (): Promise<void> => Promise.resolve();

test('a create that hangs ends after ten seconds for one that waits, and one for each', async (t) => {
  const { create, outcomes, tick } = hangingCreates(t, 8);
  create('waits', made);
  await tick(9);
  assert.deepEqual([...outcomes], []);
  await tick(2);
  assert.deepEqual([...outcomes.keys()].sort(), ['hangs0', 'waits']);
  assert.equal(outcomes.get('waits'), 'made');
  assert.match(
    outcomes.get('hangs0') ?? '',
    /^runc create did not end within 10 seconds while other creates w/,
  );
});

test('creates that hang keep their places for as long as nobody waits', async (t) => {
  const { create, outcomes, tick } = hangingCreates(t, 8);
  await tick(29);
  assert.deepEqual([...outcomes], []);
  create('comes', made);
  await tick(0);
  assert.deepEqual([...outcomes.keys()].sort(), ['comes', 'hangs0']);
  await tick(2);
  assert.equal(outcomes.size, 9, 'after 30 seconds all have ended');
});

test('a waiting create that is given up takes nobody’s turn', async (t) => {
  const { create, hang, outcomes, tick } = hangingCreates(t, 8);
  const caller = new AbortController();
  create('gone', hang, caller.signal);
  create('waits', made);
  await tick(1);
  caller.abort();
  await tick(1);
  assert.deepEqual([...outcomes.keys()], ['gone']);
  await tick(9);
  assert.deepEqual([...outcomes.keys()].sort(), ['gone', 'hangs0', 'waits']);
});
