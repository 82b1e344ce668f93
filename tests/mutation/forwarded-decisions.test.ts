import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { requestSchema } from '@kata-agent/analysis';
import { fieldMutations } from './field-mutations.js';
import { decisions, isException, moments, pods } from './forward-decision.js';

/**
 * What this agent refuses with the guest must not be forwarded. `KATA_MUTATIONS=all` compares every change of every request; the
 * default is every field, and every kind of change, some times in each setup.
 */
const isEverything = process.env['KATA_MUTATIONS'] === 'all';
const ofEachField = isEverything ? Number.POSITIVE_INFINITY : 4;

test('no changed request is forwarded that this agent would refuse with the guest', (t) => {
  const counts = { compared: 0, both: 0, neither: 0, 'forward alone': 0, exception: 0 };
  const open = new Map<string, string>();
  const seen = new Map<string, number>();
  for (const pod of pods())
    for (const moment of moments(pod)) {
      const { method, request, setup, file } = moment;
      const schema = requestSchema(method);
      for (const mutation of fieldMutations(schema, request)) {
        const key = `${setup} ${method} ${mutation.field} ${mutation.kind}`;
        const count = seen.get(key) ?? 0;
        if (count >= ofEachField) continue;
        seen.set(key, count + 1);
        const changed = clone(schema, request);
        mutation.apply(changed);
        counts.compared += 1;
        const { here, forwarded } = decisions(method, changed, moment);
        const change = `${method} ${mutation.field} ${mutation.kind}`;
        if (here === undefined) counts[forwarded === undefined ? 'neither' : 'forward alone'] += 1;
        else if (forwarded !== undefined) counts.both += 1;
        else if (isException(change, here)) counts.exception += 1;
        else open.set(change, `${mutation.detail}: ${here} (${file}, ${setup})`);
      }
    }
  t.diagnostic(JSON.stringify(counts));
  assert.deepEqual(
    [...open].map(([what, how]) => `${what}: ${how}`),
    [],
  );
  assert.ok(counts.compared > 9_000 && counts.both > 2_000, JSON.stringify(counts));
});
