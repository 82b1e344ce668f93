import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { requestSchema } from '@kata-agent/analysis';
import { profiles } from '@kata-agent/catalogue/profiles';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import {
  authorizerWith,
  expectedOf,
  generatedFor,
  images,
  setups,
  workloadFiles,
  workloadsIn,
} from './expected-requests.js';
import { ReviewedList } from './reviewed-list.js';
import { candidates, sample } from './run-mutations.js';

const list = new ReviewedList();

test('a document with a profile decides as one with all rules written out, for every changed request', async () => {
  const used = new Set<string>();
  const exceptions = new Set<string>();
  let compared = 0;
  const different: string[] = [];
  for (const setup of setups)
    for (const file of workloadFiles) {
      if (workloadsIn(file).length !== 1 || setup.verifiedLayers !== undefined) continue;
      const profiled = generatedFor(workloadsIn(file), setup, images);
      const [, name] = /^profile = "([^@]+)@/m.exec(profiled) ?? [];
      if (name === undefined) continue;
      used.add(name);
      const [, except = ''] = /^profile_except = \[\n([^\]]*)\]/m.exec(profiled) ?? [];
      for (const [rule] of except.matchAll(/"[^"]+"/g)) exceptions.add(`${file}: ${rule}`);
      const other = authorizerWith(
        await loadedConfiguration(generatedFor(workloadsIn(file), setup, images, true)),
      );
      for (const expected of await expectedOf(file, setup))
        for (const candidate of sample(candidates(expected), 1, list)) {
          const { moment, mutation } = candidate;
          const { method } = moment.call;
          const request = clone(requestSchema(method), moment.call.request);
          mutation.apply(request);
          const [own, its] = [expected.authorizer, other].map(
            (authorizer) => authorizer.decide(method, request, moment.view(request)).outcome,
          );
          compared += 1;
          if (own !== its)
            different.push(
              `${expected.name}, ${method}, ${mutation.field}: ${own} with the profile, ${its} with rules`,
            );
        }
    }
  assert.deepEqual(different, []);
  assert.deepEqual([...used].sort(), [...profiles.keys()].sort());
  assert.ok(compared > 10_000, String(compared));
  // A pod that fits nothing of a profile would show nothing.
  assert.ok(exceptions.size < 60, [...exceptions].join('\n'));
});
