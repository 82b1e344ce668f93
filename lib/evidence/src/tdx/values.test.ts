import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EvidenceFormError } from '../evidence-error.js';
import { makeValues } from '../testing/tdx-platform.js';
import { parseTdxValues } from './values.js';

test('tuples are read; what is left out has the value that accepts least', () => {
  const [tuple] = parseTdxValues([makeValues({ rtmr3: 'any' })]);
  assert.equal(tuple?.attributes, 1n << 28n);
  assert.equal(tuple?.rtmrs[3], 'any');
  assert.equal(tuple?.mrOwner, undefined);
  assert.deepEqual(tuple?.statuses, ['UpToDate']);
});

const wrong: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
  ['a misspelt member', { mr_owner: 'any' }, /^tdx\[0\]\.mr_owner is unknown/],
  ['any MRTD', { mrtd: 'any' }, /^tdx\[0\]\.mrtd is not 48 bytes in hex/],
  ['a short register', { rtmr1: '00' }, /rtmr1 is neither 48 bytes in hex nor "any"/],
  ['attributes as a number', { attributes: 1 }, /attributes is not 8 bytes in hex/],
  ['an unknown status', { tcb_status: ['Fine'] }, /tcb_status is not a list of UpToDate/],
  ['a status twice', { tcb_status: ['UpToDate', 'UpToDate'] }, /each at most once/],
  ['no status', { tcb_status: [] }, /tcb_status is not a list with items/],
  ['a revoked platform', { tcb_status: ['Revoked'] }, /tcb_status is not a list of UpToDate/],
];

for (const [what, changes, message] of wrong)
  test(`not values: ${what}`, () => {
    assert.throws(
      () => parseTdxValues([makeValues(changes)]),
      (error) => error instanceof EvidenceFormError && message.test(error.message),
    );
  });

for (const name of ['mrtd', 'rtmr0', 'rtmr3', 'mrconfigid', 'attributes', 'xfam', 'minimum_tcb'])
  test(`not values: ${name} is missing`, () => {
    const { [name]: _, ...rest } = makeValues() as Record<string, unknown>;
    assert.throws(() => parseTdxValues([rest]), new EvidenceFormError(`tdx[0].${name} is missing`));
  });
