import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { needsRoot, partNames, planParts } from './plan.js';

const all = ['shim', 'agent-ctl', 'source', 'remote-configuration'] as const;
const planned = (given: readonly string[], shimKind: 'Go' | 'runtime-rs' | undefined = 'Go') =>
  planParts(partNames, { has: (need) => given.includes(need), shimKind });
const runs = (given: readonly string[], shimKind?: 'Go' | 'runtime-rs') =>
  planned(given, shimKind).flatMap(({ part, skip }) => (skip === undefined ? [part] : []));

describe('which parts run', () => {
  it('follows from what is given', () => {
    assert.deepEqual(runs(all), partNames);
    assert.deepEqual(runs([]), []);
    assert.deepEqual(runs(['source']), ['genpolicy']);
    assert.deepEqual(runs(['agent-ctl']), ['agent-ctl']);
    assert.deepEqual(runs(['shim']), ['shim']);
    assert.deepEqual(runs(['shim', 'source']), ['shim', 'workloads', 'genpolicy']);
    assert.deepEqual(runs(['shim', 'remote-configuration']), ['shim', 'remote']);
  });

  it('is not those of the Go shim with runtime-rs', () => {
    assert.deepEqual(runs(all, 'runtime-rs'), ['agent-ctl', 'bats', 'genpolicy']);
    const reason = planned(all, 'runtime-rs').find(({ part }) => part === 'shim')?.skip;
    assert.match(reason ?? '', /^the shim is runtime-rs; help: --shim FILE, the Go shim/);
  });

  it('says of each part that does not run what it needs', () => {
    const reasons = new Map(planned(['source']).map(({ part, skip }) => [part, skip]));
    assert.match(reasons.get('bats') ?? '', /^not given: --agent-ctl FILE, /);
    assert.match(
      reasons.get('remote') ?? '',
      /^not given: --shim FILE, .*; not given: --remote-configuration FILE/,
    );
    assert.equal(reasons.get('genpolicy'), undefined);
  });

  it('needs root, except for genpolicy', () => {
    assert.equal(needsRoot(planned(['source'])), false);
    assert.equal(needsRoot(planned(['shim'])), true);
  });
});
