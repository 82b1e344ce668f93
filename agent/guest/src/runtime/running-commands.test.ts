import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { RunningCommands } from './running-commands.js';

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** Creates that hang until they are aborted, and their results. */
function hangingCreates(t: TestContext, count: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const commands = new RunningCommands('runc');
  const outcomes = new Map<string, string>();
  const create = (
    container: string,
    task: (signal: AbortSignal) => Promise<void>,
    call?: AbortSignal,
  ): void => {
    commands.run({ container, command: 'create', call }, task).then(
      () => outcomes.set(container, 'created'),
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

const created = (): Promise<void> => Promise.resolve();

test('a create that hangs is ended after ten seconds if another one waits, one for each', async (t) => {
  const { create, outcomes, tick } = hangingCreates(t, 8);
  create('waits', created);
  await tick(9);
  assert.deepEqual([...outcomes], []);
  await tick(2);
  assert.deepEqual([...outcomes.keys()].sort(), ['hangs0', 'waits']);
  assert.equal(outcomes.get('waits'), 'created');
  assert.match(
    outcomes.get('hangs0') ?? '',
    /^runc create did not end within 10 seconds while other creates w/,
  );
});

test('creates that hang keep their slots while no other one waits', async (t) => {
  const { create, outcomes, tick } = hangingCreates(t, 8);
  await tick(29);
  assert.deepEqual([...outcomes], []);
  create('later', created);
  await tick(0);
  assert.deepEqual([...outcomes.keys()].sort(), ['hangs0', 'later']);
  await tick(2);
  assert.equal(outcomes.size, 9, 'after 30 seconds all have ended');
});

test('a waiting create that is cancelled takes no slot', async (t) => {
  const { create, hang, outcomes, tick } = hangingCreates(t, 8);
  const caller = new AbortController();
  create('gone', hang, caller.signal);
  create('waits', created);
  await tick(1);
  caller.abort();
  await tick(1);
  assert.deepEqual([...outcomes.keys()], ['gone']);
  await tick(9);
  assert.deepEqual([...outcomes.keys()].sort(), ['gone', 'hangs0', 'waits']);
});
