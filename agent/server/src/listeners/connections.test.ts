import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionRecords } from './connections.js';

/** A log whose intents are written when `written` is called. */
function slowLog() {
  const outcomes: number[] = [];
  let written = (): void => undefined;
  const intent = (): Promise<number> =>
    new Promise((resolve) => {
      written = () => resolve(7);
    });
  const audit = { intent, outcome: (sequence: number) => void outcomes.push(sequence) };
  return { records: new ConnectionRecords(audit), outcomes, written: () => written() };
}

const caller = { listener: 'l', peer: 'p' };

test('the end of a connection is recorded once', async () => {
  const { records, outcomes, written } = slowLog();
  const begun = records.begin(caller, '');
  written();
  const ended = await begun;
  ended();
  await records.close();
  ended();
  assert.deepEqual(outcomes, [7]);
});

test('a connection whose beginning is being recorded while the agent ends has an end, too', async () => {
  const { records, outcomes, written } = slowLog();
  const begun = records.begin(caller, '');
  const closed = records.close();
  written();
  await Promise.all([begun, closed]);
  assert.deepEqual(outcomes, [7]);
  await assert.rejects(records.begin(caller, ''), /the agent ends/);
});
