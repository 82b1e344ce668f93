import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SandboxView } from '@kata-agent/analysis';
import { type Expected, expectedOf, setups, workloadFiles } from './expected-requests.js';
import { ReviewedList } from './reviewed-list.js';
import { type Candidate, candidates, sample, tryMutation } from './run-mutations.js';
import { sequenceRefusal, sequences } from './sequences.js';

/**
 * Checks that a generated configuration allows no more than its workload needs. `KATA_MUTATIONS=all` tries every
 * mutation of every request; the default is a deterministic sample with every field and every kind of change in every
 * setup.
 */
const isEverything = process.env['KATA_MUTATIONS'] === 'all';
const ofEachField = isEverything ? Number.POSITIVE_INFINITY : Number(process.env['KATA_MUTATIONS'] ?? 3);
const ofEachSequence = isEverything ? Number.POSITIVE_INFINITY : 2;

const list = new ReviewedList();
let all: readonly Expected[] = [];
let every: readonly Candidate[] = [];

before(async () => {
  const found: Expected[] = [];
  for (const file of workloadFiles)
    for (const setup of setups) found.push(...(await expectedOf(file, setup)));
  all = found;
  every = all.flatMap((expected) => [...candidates(expected)]);
});

test('every call of every workload is allowed unchanged', () => {
  assert.ok(all.length >= 80, String(all.length));
  for (const { name, calls, authorizer } of all) {
    const view = new SandboxView(authorizer.listeners);
    for (const call of calls) {
      const { outcome, reason } = authorizer.decide(call.method, call.request, view.next(call));
      assert.equal(outcome, 'allow', `${name}: ${call.method} of ${call.because}: ${reason}`);
    }
  }
});

test('a changed request is denied, or the reviewed list has a reason', (t) => {
  const tried: readonly Candidate[] = isEverything ? every : sample(every, ofEachField, list);
  const counts = { gate: 0, guest: 0, list: 0 };
  const open = new Map<string, string>();
  for (const candidate of tried) {
    const { expected, call, mutation, refusedBy } = tryMutation(candidate);
    if (refusedBy !== undefined) counts[refusedBy] += 1;
    else if (list.hasField(call.method, mutation, expected.name)) counts.list += 1;
    else
      open.set(
        `${call.method} ${mutation.field} ${mutation.kind}`,
        `${mutation.detail} (${expected.name}, ${call.because})`,
      );
  }
  const fields = new Set(every.map(({ moment, mutation }) => `${moment.call.method} ${mutation.field}`));
  t.diagnostic(
    `${fields.size} fields, ${every.length} mutations, ${tried.length} tried: ` +
      `${counts.gate} denied by the configuration, ${counts.guest} by the guest, ${counts.list} on the list`,
  );
  assert.deepEqual(
    [...open].map(([what, how]) => `${what}: ${how}`),
    [],
  );
});

test('calls in another order are denied, or the reviewed list has a reason', (t) => {
  const counts = { gate: 0, guest: 0, list: 0 };
  const tried = new Map<string, number>();
  const open = new Map<string, string>();
  for (const expected of all) {
    const { runtime, guest, snapshotter = '' } = expected.setup;
    for (const sequence of sequences(expected)) {
      const key = `${runtime} ${guest} ${snapshotter} ${sequence.kind} ${sequence.about}`;
      const count = tried.get(key) ?? 0;
      if (count >= ofEachSequence) continue;
      tried.set(key, count + 1);
      const refusal = sequenceRefusal(expected, sequence.calls);
      if (refusal !== undefined) counts[refusal.startsWith('gate') ? 'gate' : 'guest'] += 1;
      else if (list.hasSequence(sequence)) counts.list += 1;
      else open.set(`${sequence.kind} ${sequence.about}`, expected.name);
    }
  }
  const number = [...tried.values()].reduce((sum, each) => sum + each, 0);
  t.diagnostic(
    `${number} sequences: ${counts.gate} denied by the configuration, ${counts.guest} by the guest, ${counts.list} on the list`,
  );
  assert.deepEqual(
    [...open].map(([what, name]) => `${what} (${name})`),
    [],
  );
});

test('every entry of the reviewed list is needed', (t) => {
  t.diagnostic(`${list.size} entries`);
  // A sample can hold only those of an entry's mutations that are denied anyway: try the others until one is not.
  for (const candidate of every) {
    const { expected, moment, mutation } = candidate;
    if (!list.isUnneeded(moment.call.method, mutation, expected.name)) continue;
    if (tryMutation(candidate).refusedBy === undefined)
      list.hasField(moment.call.method, mutation, expected.name);
  }
  assert.deepEqual(list.unneeded(), []);
});
