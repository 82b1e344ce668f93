import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { factsOf, type RequestFacts } from '@kata-agent/gate';
import * as fc from 'fast-check';
import { requestOfFacts, requestSchema } from './offline-requests.js';
import { factsArbitrary } from './testing/facts.js';

const call: fc.Arbitrary<readonly [MethodName, RequestFacts]> = fc
  .constantFrom(...methodNames)
  .chain((method) => factsArbitrary(method).map((facts) => [method, facts] as const));

test('property: a request made from facts has exactly these facts', () => {
  fc.assert(
    fc.property(call, ([method, facts]) => {
      const request = requestOfFacts(method, facts);
      assert.equal(request.$typeName, requestSchema(method).typeName);
      // Generated objects have no prototype; an audit log holds JSON.
      assert.deepEqual(factsOf(method, request), JSON.parse(JSON.stringify(facts)));
    }),
    { numRuns: runs(2_000) },
  );
});
