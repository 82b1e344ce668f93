import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface Run {
  readonly agent: string;
  readonly figures: Readonly<Record<string, readonly number[]>>;
}

interface Row {
  readonly what: string;
  readonly ours: number;
  readonly against?: { readonly name: string; readonly value: number };
  readonly spread?: { readonly min: number; readonly max: number };
}

const { agentRows } = (await import(`${repository}bench/dist/agent-rows.js`)) as {
  readonly agentRows: (runs: readonly Run[], peer: string | undefined) => readonly Row[];
};
const { allowAllPolicy } = (await import(`${repository}bench/dist/agent-namespaces.js`)) as {
  readonly allowAllPolicy: () => string;
};

/** A run in which each figure has these values. */
const run = (agent: string, ...values: readonly number[]): Run => ({
  agent,
  figures: new Proxy({}, { get: () => values }),
});

describe('rows of the agent benchmark', () => {
  const runs = [run('crun', 1, 2, 3), run('peer', 4), run('runc', 6), run('crun', 4), run('peer', 2)];

  it('have the median of the runs of both runtimes, the least and greatest run, and the peer', () => {
    const row = agentRows(runs, 'kata').find(({ what }) => what === 'start to first answer');
    assert.deepEqual(row, {
      what: 'start to first answer',
      unit: 'ms',
      ours: 4,
      spread: { min: 2, max: 6 },
      against: { name: 'kata', value: 3 },
    });
  });

  it('are one for each runtime where it runs', () => {
    const rows = agentRows(runs, undefined).filter(({ what }) => what.startsWith('create and start'));
    assert.deepEqual(
      rows.map(({ what, ours, against }) => [what, ours, against]),
      [
        ['create and start, crun', 3, undefined],
        ['create and start, runc', 6, undefined],
      ],
    );
  });

  it('are refused if a run lacks a figure', () => {
    assert.throws(() => agentRows([{ agent: 'crun', figures: {} }], undefined), /no values/);
  });
});

it('the policy of a peer allows each request by the name of its message', () => {
  const policy = allowAllPolicy();
  assert.match(policy, /^package agent_policy\n/);
  for (const name of [
    'CreateContainerRequest',
    'GuestDetailsRequest',
    'ReadStreamRequest',
    'WriteStreamRequest',
  ])
    assert.match(policy, new RegExp(`^default ${name} := true$`, 'm'));
});
