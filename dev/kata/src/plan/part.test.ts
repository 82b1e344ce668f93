import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Checks, PartSkipped, runPart, type TestResult } from './part.js';
import { tableText } from './table.js';

const passed: TestResult = { name: 'a', outcome: 'passed' };
const failed: TestResult = { name: 'b', outcome: 'failed', reason: 'exit code 1' };
const skipped: TestResult = { name: 'c', outcome: 'skipped', reason: 'no KVM' };

describe('result of a part', () => {
  const outcomes: readonly [tests: readonly TestResult[], outcome: string][] = [
    [[passed, skipped], 'passed'],
    [[passed, failed], 'failed'],
    [[skipped], 'skipped'],
    [[], 'skipped'],
  ];
  for (const [tests, outcome] of outcomes)
    it(`is ${outcome} for [${tests.map((test) => test.outcome).join(', ')}]`, async () => {
      assert.equal((await runPart('bats', () => Promise.resolve(tests))).outcome, outcome);
    });

  it('is a skip or a failure by the error, with its message', async () => {
    const skip = await runPart('shim', () => Promise.reject(new PartSkipped('containerd is not installed')));
    assert.deepEqual([skip.outcome, skip.reason], ['skipped', 'containerd is not installed']);
    const failure = await runPart('shim', () => Promise.reject(new Error('containerd did not start')));
    assert.deepEqual([failure.outcome, failure.reason], ['failed', 'containerd did not start']);
  });

  it('is a row of the table; tests that did not pass are listed below', async () => {
    let time = 0;
    const now = (): number => (time += 1250);
    const parts = [
      await runPart('bats', () => Promise.resolve([passed, passed, failed, skipped]), now),
      await runPart('shim', () => Promise.reject(new PartSkipped('a | b\nc')), now),
    ];
    const text = tableText({
      date: '2026-01-02',
      versions: { Kata: '4.1.0', runc: undefined },
      programs: [],
      parts,
    });
    assert.deepEqual(text.split('\n'), [
      '| part | result  | passed | failed | skipped | seconds | reason |',
      '|------|---------|--------|--------|---------|---------|--------|',
      '| bats | failed  | 2      | 1      | 1       | 1.3     |        |',
      '| shim | skipped | 0      | 0      | 0       | 1.3     | a \\| b |',
      '',
      '- bats: b: failed: exit code 1',
      '- bats: c: skipped: no KVM',
      '',
      '2026-01-02: Kata 4.1.0, runc not installed',
    ]);
  });
});

describe('checks', () => {
  it('continue after a failure, but not after that of a required check', async () => {
    const checks = new Checks();
    const fail = () => Promise.reject(new Error('no'));
    await checks.run('one', fail);
    assert.equal(await checks.run('two', () => Promise.resolve(2)), 2);
    await checks.run('three', fail, { required: true });
    assert.equal(await checks.run('four', () => Promise.resolve(4)), undefined);
    assert.deepEqual(checks.results, [
      { name: 'one', outcome: 'failed', reason: 'no' },
      { name: 'two', outcome: 'passed' },
      { name: 'three', outcome: 'failed', reason: 'no' },
      { name: 'four', outcome: 'skipped', reason: 'after: three' },
    ]);
  });
});
