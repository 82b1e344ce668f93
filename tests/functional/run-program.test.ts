import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run } from '@kata-agent/setup/run-program';

describe('a program that a tool runs', () => {
  it('sets LC_ALL=C, so that the output is English in any locale', () => {
    const before = process.env['LC_ALL'];
    process.env['LC_ALL'] = 'de_DE.UTF-8';
    try {
      assert.equal(run('sh', ['-c', 'echo "$LC_ALL"']), 'C\n');
    } finally {
      if (before === undefined) delete process.env['LC_ALL'];
      else process.env['LC_ALL'] = before;
    }
  });

  it('reports the signal that ended a program', () => {
    assert.throws(() => run('sh', ['-c', 'kill -INT $$']), /^Error: sh: terminated by SIGINT$/);
  });
});
