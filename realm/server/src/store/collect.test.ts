import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '@kata-agent/ttrpc';
import { FakeAgent, temporaryDirectory, WrittenLog } from '../collector/fake-agent.test.fixture.js';
import { collect, collectFrom, type CollectTarget, readAhead } from './collect.js';
import { GuestLogs } from './guest-logs.js';
import { openLogDirectory } from './log-directory.js';
import type { LogFault } from './log-storage.js';

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

test('another log at the same address that is shorter is collected, too', async (t) => {
  const [first, second] = [await WrittenLog.start(t), await WrittenLog.start(t)];
  await first.add(20);
  await second.add(3);
  const directory = temporaryDirectory(t);
  const space = { max: 2 ** 30, everyMs: 1_000, onChange: () => undefined };
  const { storage } = await openLogDirectory(directory, space);
  const faults: LogFault[] = [];
  const written: number[] = [];
  const id = 'ab'.repeat(32);
  const logs = new GuestLogs(id, {
    storage: storage(id),
    maxBytes: 2 ** 30,
    onFault: (_id, fault) => faults.push(fault),
    onWritten: (records) => written.push(records),
  });
  const options = { bytesPerSecond: 2 ** 30, overlapMs: 200, retryMs: 10, onFailure: assert.ifError };
  const collecting = async (log: WrittenLog, until: number): Promise<void> => {
    const agent = await FakeAgent.serve(t, log);
    const channel = connect(await agent.connect());
    const stop = new AbortController();
    const done = collect(channel, logs, options, stop.signal);
    const deadline = AbortSignal.timeout(10_000);
    while (!deadline.aborted && sum(written) < until) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort();
    await done;
    channel.close();
    await logs.close();
  };
  await collecting(first, 21);
  await collecting(second, 25);
  assert.deepEqual(
    faults.map(({ kind, sequence }) => [kind, sequence]),
    [
      ['broken', 21],
      ['second-log', 21],
    ],
  );
  assert.equal(sum(written), 25);
  assert.equal(logs.log.lastSequence, 4);
  await Promise.all([first.close(), second.close()]);
});

test('messages that come while others are in work are taken together, up to a limit', async () => {
  let made = 0;
  async function* messages(): AsyncGenerator<{ records: Uint8Array[] }> {
    for (; made < 20; made += 1) yield { records: [new Uint8Array(99)] };
    throw new Error('the end');
  }
  const sizes: number[] = [];
  await assert.rejects(async () => {
    for await (const lines of readAhead(messages(), 500, () => undefined)) {
      sizes.push(lines.length);
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.ok(made - sum(sizes) <= 6, 'no more is read');
    }
  }, /the end/);
  assert.equal(sum(sizes), 20);
  assert.ok(sizes.some((size) => size > 1));
  // A reader that leaves ends the messages.
  made = 0;
  let ended = false;
  async function* endless(): AsyncGenerator<{ records: Uint8Array[] }> {
    try {
      for (;;) yield { records: [new Uint8Array(1)] };
    } finally {
      ended = true;
    }
  }
  for await (const lines of readAhead(endless(), 10, () => undefined)) {
    assert.ok(lines.length > 0);
    break;
  }
  assert.equal(ended, true);
});

test('what cannot be stored is trouble of the log, unless the collector is to end: then it is asked for again', async () => {
  for (const isToEnd of [false, true]) {
    const target: CollectTarget = {
      begin: async () => 1,
      isFull: false,
      awaitsOverlap: false,
      noteWithheld: () => Promise.resolve(),
      expectOtherLog: () => Promise.resolve(),
      take: async () => {
        if (isToEnd) ending.abort();
        throw new Error('the receiver did not answer');
      },
      trouble: undefined,
    };
    const [stop, ending] = [new AbortController(), new AbortController()];
    const failures: string[] = [];
    async function* records(): AsyncGenerator<{ records: Uint8Array[] }> {
      yield { records: [new Uint8Array(1)] };
    }
    await collectFrom(
      records,
      target,
      {
        bytesPerSecond: 2 ** 30,
        overlapMs: 60_000,
        retryMs: 60_000,
        ending: ending.signal,
        onFailure: ({ message }) => {
          failures.push(message);
          stop.abort();
        },
      },
      stop.signal,
    );
    assert.equal(target.trouble, isToEnd ? undefined : 'failed');
    assert.deepEqual(failures, isToEnd ? [] : ['the receiver did not answer']);
  }
});
