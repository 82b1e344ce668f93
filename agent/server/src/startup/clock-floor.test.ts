import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Configuration } from '@kata-agent/config';
import { RecordingSyscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import { clockFloor, raiseClock } from './clock-floor.js';

const floor = Date.UTC(2026, 10, 26);

describe('the floor of the clock (S37)', () => {
  const documents = [{}] as unknown as Configuration['documents'];
  const set = { clockFloor: floor };
  const unset = { clockFloor: undefined };

  it('is the setting, else the time of the source, else a constant', () => {
    const built = { sourceTime: 1_790_000_000 };
    assert.equal(clockFloor({ settings: set, documents }, built), floor);
    assert.equal(clockFloor({ settings: unset, documents }, built), 1_790_000_000_000);
    assert.equal(clockFloor({ settings: unset, documents }, {}), Date.UTC(2026, 0));
    assert.equal(clockFloor({ settings: { clockFloor: 0 }, documents }, built), 0, 'none');
  });

  it('does not exist without a configuration', () => {
    assert.equal(clockFloor({ settings: unset, documents: [] }, { sourceTime: 1 }), undefined);
  });
});

describe('a clock at the start of an agent (S37)', () => {
  function start(time: number, ownsKernel: boolean, code?: string) {
    const syscalls = new RecordingSyscalls();
    if (code !== undefined) syscalls.fail('setRealTime', code);
    const logged: string[] = [];
    const facts = () =>
      raiseClock(floor, {
        syscalls,
        ownsKernel,
        now: () => time,
        log: (level, message, extras) => logged.push(`${level}: ${message} ${JSON.stringify(extras)}`),
      });
    return { facts, logged, set: () => syscalls.argumentsOf('setRealTime') };
  }

  it('is raised to the floor if the kernel is the agent’s own', () => {
    const { facts, logged, set } = start(1000, true);
    assert.deepEqual(facts(), {
      floor: '2026-11-26T00:00:00.000Z',
      raisedFrom: '1970-01-01T00:00:01.000Z',
    });
    assert.deepEqual(set(), [[BigInt(floor / 1000), 0]]);
    assert.match(logged.join(), /^warn: .*was raised.*1970-01-01.*2026-11-26/);
  });

  it('is not set by another agent, which warns', () => {
    const { facts, logged, set } = start(1000, false);
    assert.deepEqual(facts(), { floor: '2026-11-26T00:00:00.000Z' });
    assert.deepEqual(set(), []);
    assert.match(logged.join(), /^warn: the clock is below its floor/);
  });

  it('is left as it is at the floor and later', () => {
    for (const time of [floor, floor + 1, Date.UTC(2090, 0)]) {
      const { facts, logged, set } = start(time, true);
      assert.deepEqual([facts().raisedFrom, logged, set()], [undefined, [], []]);
    }
  });

  it('that cannot be raised stops the start', () => {
    const { facts } = start(1000, true, 'EPERM');
    assert.throws(
      facts,
      (error) => error instanceof CannotApply && /cannot be raised to 2026-11-26/.test(error.message),
    );
  });
});
