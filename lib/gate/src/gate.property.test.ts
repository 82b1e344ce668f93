import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { ApiDocument } from '@kata-agent/config';
import { findingsOn, servedBy } from '@kata-agent/config/served';
import * as fc from 'fast-check';
import { compileGate, type Gate } from './index.js';
import { builtIn, document } from '@kata-agent/config/testing';

const method = fc.constantFrom(...methodNames);

function gateFor(documents: readonly ApiDocument[], built?: ReadonlySet<MethodName>): Gate {
  const api = { documents, strict: false, onDeniedRead: 'error', deniedOutput: 'discard' } as const;
  return compileGate({ api }, { listeners: ['a', 'b'], ...(built === undefined ? {} : { builtIn: built }) });
}

test('the gate’s decisions follow from the findings on each listener', () => {
  fc.assert(
    fc.property(fc.array(document, { maxLength: 4 }), builtIn, (documents, built) => {
      const gate = gateFor(documents, built);
      for (const listener of ['a', 'b']) {
        for (const name of methodNames) {
          const { served, ...why } = servedBy(findingsOn(documents, listener, name, built), name);
          const decided = { outcome: served ? 'allow' : 'deny', listener, method: name, ...why };
          assert.deepEqual(gate.decide(listener, name), decided);
        }
      }
    }),
  );
});

test('a method missing from the catalogue is denied, whatever the documents say', () => {
  fc.assert(
    fc.property(
      fc.array(document, { maxLength: 3 }),
      fc.string(),
      fc.string(),
      (documents, listener, name) => {
        fc.pre(!(methodNames as readonly string[]).includes(name) || !['a', 'b'].includes(listener));
        assert.equal(gateFor(documents).decide(listener, name).outcome, 'deny');
      },
    ),
  );
});

test('tightening never serves more, and equals adding a document', () => {
  fc.assert(
    fc.property(
      fc.array(document, { minLength: 1, maxLength: 3 }),
      fc.array(document, { maxLength: 4 }),
      (documents, fragments) => {
        let gate = gateFor(documents);
        for (const fragment of fragments) {
          const before = new Set(gate.served('a'));
          gate = gate.tighten(fragment);
          for (const name of gate.served('a')) assert.ok(before.has(name), name);
        }
        assert.deepEqual(gate.served('a'), gateFor([...documents, ...fragments]).served('a'));
      },
    ),
  );
});

test('the order of further documents does not matter', () => {
  fc.assert(
    fc.property(
      fc.option(document, { nil: undefined }),
      fc.array(document, { maxLength: 4 }).chain((later) => fc.tuple(fc.constant(later), shuffled(later))),
      (base, [later, other]) => {
        const gate = gateFor(base === undefined ? [] : [base]);
        const one = later.reduce((narrower, next) => narrower.tighten(next), gate);
        const two = other.reduce((narrower, next) => narrower.tighten(next), gate);
        assert.deepEqual(one.served('a'), two.served('a'));
      },
    ),
  );
});

test('tightening twice by one document equals tightening once', () => {
  fc.assert(
    fc.property(document, document, method, (base, fragment, name) => {
      const once = gateFor([base]).tighten(fragment);
      assert.equal(once.tighten(fragment).decide('a', name), once.decide('a', name));
    }),
  );
});

function shuffled<T>(items: readonly T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray([...items], { minLength: items.length });
}
