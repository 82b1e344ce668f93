import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { summary, type TestEvent } from './reporter.js';

describe('the report of a test run', () => {
  async function* events(): AsyncGenerator<TestEvent> {
    const at = { file: '/r/a.test.js' };
    const bad = (failureType: string): object => ({
      duration_ms: 40.4,
      error: { failureType, cause: new Error('bad\nmore') },
    });
    yield { type: 'test:start', data: { ...at, nesting: 0, name: 'suite' } };
    yield { type: 'test:start', data: { ...at, nesting: 1, name: 'x' } };
    yield { type: 'test:pass', data: { ...at, nesting: 1, name: 'x', skip: 'needs y', details: {} } };
    yield { type: 'test:start', data: { ...at, nesting: 1, name: 'z' } };
    yield { type: 'test:fail', data: { ...at, nesting: 1, name: 'z', details: bad('testCodeFailure') } };
    yield { type: 'test:fail', data: { ...at, nesting: 0, name: 'suite', details: bad('subtestsFailed') } };
    yield {
      type: 'test:pass',
      data: { file: '/r/b.test.js', nesting: 0, name: 'slow', details: { duration_ms: 90 } },
    };
    yield { type: 'test:diagnostic', data: { nesting: 0, message: 'pass 3' } };
    yield { type: 'test:diagnostic', data: { nesting: 0, message: 'duration_ms 5' } };
  }

  it('contains the counts, each failed test once, each skipped test with its reason, and the time of each file', async () => {
    assert.deepEqual(await summary(events(), '/r'), {
      counts: { pass: 3 },
      failures: [{ file: 'a.test.js', name: 'suite › z', message: 'bad' }],
      skipped: [{ file: 'a.test.js', name: 'suite › x', reason: 'needs y' }],
      times: [
        { file: 'b.test.js', tests: 1, ms: 90 },
        { file: 'a.test.js', tests: 3, ms: 40 },
      ],
    });
  });
});
