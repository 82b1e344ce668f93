import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairTurns, type Turn } from './fair-turns.js';

/** Turns that are stepped by hand, and a clock that only frames advance. */
class Bench {
  readonly handled: string[] = [];
  readonly turns: FairTurns;
  #time = 1;
  #steps: (() => void)[] = [];

  constructor() {
    this.turns = new FairTurns({ now: () => this.#time, later: (step) => this.#steps.push(step) });
  }

  channel(name: string, group: string, costMs = 0): (frames: number) => void {
    const turn: Turn = this.turns.join(group);
    let left = 0;
    let waits = false;
    const pump = (): void => {
      for (; left > 0; left -= 1) {
        if (!turn.take()) {
          waits = true;
          turn.wait(() => {
            waits = false;
            pump();
          });
          return;
        }
        this.handled.push(name);
        this.#time += costMs;
      }
    };
    return (frames) => {
      left += frames;
      if (!waits) pump();
    };
  }

  /** Runs one turn of the event loop; returns what was handled in it, or undefined if none is scheduled. */
  step(): readonly string[] | undefined {
    const steps = this.#steps;
    this.#steps = [];
    if (steps.length === 0) return undefined;
    assert.equal(steps.length, 1);
    const before = this.handled.length;
    for (const step of steps) step();
    return this.handled.slice(before);
  }
}

test('a channel that has little never waits, and needs no turn', () => {
  const bench = new Bench();
  const channel = bench.channel('a', 'one');
  channel(3);
  channel(2);
  assert.equal(bench.handled.length, 5);
  assert.equal(bench.step(), undefined);
});

test('a channel that has much leaves the event loop after 32 frames, and all are handled in order', () => {
  const bench = new Bench();
  bench.channel('a', 'one')(100);
  const counts = [bench.handled.length];
  for (let step = bench.step(); step !== undefined; step = bench.step()) counts.push(step.length);
  assert.deepEqual(counts, [32, 32, 32, 4]);
});

test('channels of one group continue in rotation', () => {
  const bench = new Bench();
  const flood = bench.channel('flood', 'one');
  const other = bench.channel('other', 'one');
  flood(10_000);
  bench.step();
  other(3);
  assert.equal(bench.handled.includes('other'), false, 'its group has waiting channels');
  assert.equal(bench.step()?.filter((name) => name === 'other').length, 3);
});

test('a group with one busy channel waits no longer than a turn, however many channels another has', () => {
  const bench = new Bench();
  const floods = Array.from({ length: 64 }, (_, index) => bench.channel(`flood ${index}`, 'tenant'));
  const host = bench.channel('host', 'host');
  for (const flood of floods) flood(1000);
  for (let turn = 0; turn < 50; turn += 1) {
    const before = bench.handled.length;
    host(1);
    assert.deepEqual(bench.handled.slice(before), ['host'], 'handled at once');
    bench.step();
  }
  host(500);
  const shares = Array.from({ length: 10 }, () => bench.step()?.filter((name) => name === 'host').length);
  assert.deepEqual(
    shares,
    Array.from({ length: 10 }, () => 16),
    'half of each turn',
  );
});

test('a new channel of a busy group gets no turn of its own', () => {
  const bench = new Bench();
  const counts = Array.from({ length: 100 }, (_, index) => {
    const before = bench.handled.length;
    bench.channel(`${index}`, 'one')(100);
    return bench.handled.length - before;
  });
  assert.deepEqual(counts, [32, ...Array.from({ length: 99 }, () => 0)]);
});

test('a turn has fewer frames the more they cost, and more again afterwards', () => {
  const bench = new Bench();
  const costly = bench.channel('costly', 'one', 2);
  costly(200);
  const counts: number[] = [];
  for (let turn = 0; turn < 20; turn += 1) counts.push(bench.step()?.length ?? 0);
  assert.deepEqual(counts.slice(0, 5), [16, 8, 4, 2, 2]);
  const cheap = bench.channel('cheap', 'two');
  cheap(100_000);
  while (!bench.handled.includes('cheap') || bench.handled.at(-1) === 'costly') bench.step();
  for (let turn = 0; turn < 200; turn += 1) bench.step();
  assert.equal(bench.step()?.length, 32);
});

test('a group is forgotten with its last channel, and a channel that left hinders none', () => {
  const bench = new Bench();
  const turn = bench.turns.join('one');
  let resumed = 0;
  turn.wait(() => {
    resumed += 1;
  });
  turn.leave();
  const other = bench.channel('other', 'one');
  other(40);
  while (bench.step() !== undefined);
  assert.equal(bench.handled.length, 40);
  assert.equal(resumed, 1);
});
