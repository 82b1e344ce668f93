import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readGenpolicyCases, readTap } from './kata-tests.js';

describe('results of tests', () => {
  it('are read from TAP, with the diagnostics of a failure', () => {
    const output = [
      '1..4',
      'ok 1 Test CopyFile API: Copy a file',
      'not ok 2 Test SetPolicy API',
      '# (in test file test_set_policy.bats, line 20)',
      "#   `run_agent_ctl' failed",
      'ok 3 Test VM # skip no KVM',
      'ok 4 Test without reason # skip',
    ].join('\n');
    assert.deepEqual(readTap(output), [
      { name: 'Test CopyFile API: Copy a file', outcome: 'passed' },
      {
        name: 'Test SetPolicy API',
        outcome: 'failed',
        reason: "(in test file test_set_policy.bats, line 20) `run_agent_ctl' failed",
      },
      { name: 'Test VM', outcome: 'skipped', reason: 'no KVM' },
      { name: 'Test without reason', outcome: 'skipped' },
    ]);
  });

  it('are read from the decisions on genpolicy’s cases', () => {
    const output = [
      'allowed by genpolicy, passes: state/exec, ExecProcessRequest: a probe',
      'allowed by genpolicy, denied: copyfile, CopyFileRequest: a file',
      '    copied-paths',
      'refused by genpolicy, denied: state/exec, ExecProcessRequest: a shell',
      'refused by genpolicy, passes: mounts, CreateContainerRequest: a host path',
      'refused by genpolicy, unclear: mounts, CreateContainerRequest: another host path',
      '5 cases; allowed by genpolicy: 2, of which 1 pass; refused: 3, of which 1 pass and 1 are unclear',
    ].join('\n');
    assert.deepEqual(
      readGenpolicyCases(output).map(({ outcome }) => outcome),
      ['passed', 'skipped', 'passed', 'failed', 'failed'],
    );
  });
});
