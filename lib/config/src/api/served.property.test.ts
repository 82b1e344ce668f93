import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareReleases, endpoints, type MethodName, methodNames } from '@kata-agent/catalogue';
import * as fc from 'fast-check';
import type { ApiDocument } from '../configuration.js';
import { explainEndpoint } from '../explain/explain-endpoint.js';
import { reasonOf } from './finding.js';
import { decidingFinding, findingsIn, findingsOn, isServed, servedBy } from './served.js';
import { builtIn, document } from '../testing/arbitrary-documents.js';

/** The documented table as a second, simpler implementation, method by method. */
function expected(
  documents: readonly ApiDocument[],
  built: ReadonlySet<MethodName> | undefined,
  listener: string,
  name: MethodName,
): boolean {
  if (built !== undefined && !built.has(name)) return false;
  return documents.every((document, index) => {
    const { release } = document;
    if (release !== undefined && compareReleases(endpoints[name].release, release) > 0) return false;
    const own = document.listeners.get(listener) ?? {};
    const listed = [document, own].filter(({ allowed, blocked }) => (allowed ?? blocked) !== undefined);
    if (index === 0 && listed.length === 0) return false;
    return listed.every(
      ({ allowed, blocked }) => allowed?.has(name) !== false && blocked?.has(name) !== true,
    );
  });
}

const asked = [fc.array(document, { maxLength: 4 }), builtIn, fc.constantFrom('a', 'b')] as const;

test('methods are served exactly as documented, on each listener', () => {
  fc.assert(
    fc.property(...asked, (documents, built, listener) => {
      for (const name of methodNames) {
        const should = expected(documents, built, listener, name);
        assert.equal(isServed(documents, listener, name, built), should);
        assert.equal(servedBy(findingsOn(documents, listener, name, built), name).served, should);
      }
    }),
  );
});

test('the first finding that denies decides, otherwise an opening list of the base document', () => {
  fc.assert(
    fc.property(...asked, (documents, built, listener) => {
      for (const name of methodNames) {
        const findings = findingsOn(documents, listener, name, built);
        const deciding = decidingFinding(findings);
        const { served, reason } = servedBy(findings, name);
        assert.equal(deciding?.allows ?? true, served);
        if (deciding === undefined) assert.equal(documents.length, 0);
        else assert.equal(reason, reasonOf(deciding, name));
        const before = findings.slice(0, deciding === undefined ? 0 : findings.indexOf(deciding));
        assert.ok(before.every(({ allows }) => allows));
      }
    }),
  );
});

test('a further document has no finding that opens more', () => {
  fc.assert(
    fc.property(...asked, document, (documents, built, listener, later) => {
      for (const name of methodNames) {
        if (documents.length === 0) continue;
        const before = isServed(documents, listener, name, built);
        const refused = findingsIn(later, false, listener, name).some(({ allows }) => !allows);
        assert.equal(isServed([...documents, later], listener, name, built), before && !refused);
      }
    }),
  );
});

test('an explanation has the outcome, its reason, and exactly one deciding part', () => {
  fc.assert(
    fc.property(...asked, (documents, built, listener) => {
      for (const name of methodNames) {
        const explained = explainEndpoint(documents, listener, name, built);
        const findings = findingsOn(documents, listener, name, built);
        const { served, reason } = servedBy(findings, name);
        assert.deepEqual([explained.served, explained.reason], [served, reason]);
        const deciding = explained.findings.filter(({ decides }) => decides);
        assert.equal(deciding.length, findings.length === 0 ? 0 : 1);
        assert.ok(deciding.every(({ allows }) => allows === served));
      }
    }),
  );
});
