import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EvidenceFormError } from '../evidence-error.js';
import { makeValues, milan, turin } from '../testing/snp-platform.js';
import { parseSnpValues } from './values.js';

test('tuples are read', () => {
  const [first, second] = parseSnpValues([makeValues(milan), makeValues(turin, { host_data: 'any' })]);
  assert.equal(first?.policy, 0x30000n);
  assert.deepEqual(first?.minimumTcb, milan.tcb);
  assert.equal(second?.hostData, 'any');
  assert.equal(second?.minimumTcb.fmc, 1);
});

const wrong: readonly (readonly [string, unknown, RegExp])[] = [
  ['no list', makeValues(milan), /^snp is not a list/],
  ['an empty list', [], /^snp is not a list/],
  ['a text as tuple', ['x'], /^snp\[0\] is not an object/],
  [
    'a misspelt member',
    [makeValues(milan, { hostdata: 'any' })],
    /^snp\[0\]\.hostdata is unknown; help: use product/,
  ],
  [
    'a member that is missing',
    [{ ...makeValues(milan), measurement: undefined }],
    /^snp\[0\]\.measurement is not 48 bytes/,
  ],
  [
    'no HOSTDATA',
    [{ product: 'Milan', measurement: '00'.repeat(48), policy: '0x30000', minimum_tcb: {} }],
    /host_data is missing/,
  ],
  ['a short measurement', [makeValues(milan, { measurement: '00' })], /measurement is not 48 bytes/],
  [
    'a measurement that is not hex',
    [makeValues(milan, { measurement: 'zz'.repeat(48) })],
    /measurement is not 48 bytes/,
  ],
  [
    'HOSTDATA of another length',
    [makeValues(milan, { host_data: '00' })],
    /neither 32 bytes in hex nor "any"/,
  ],
  [
    'an unknown product',
    [makeValues(milan, { product: 'Rome' })],
    /product is not one of Milan, Genoa, Turin/,
  ],
  ['a number as policy', [makeValues(milan, { policy: 196608 })], /policy is not a number such as "0x30000"/],
  [
    'FMC of Milan',
    [makeValues(milan, { minimum_tcb: { ...milan.tcb, fmc: 0 } })],
    /minimum_tcb\.fmc is unknown/,
  ],
  ['no FMC of Turin', [makeValues(turin, { minimum_tcb: milan.tcb })], /minimum_tcb\.fmc is missing/],
  [
    'a level above 255',
    [makeValues(milan, { minimum_tcb: { ...milan.tcb, snp: 256 } })],
    /snp is not an integer from 0 to 255/,
  ],
  ['a fraction', [makeValues(milan, { minimum_tcb: { ...milan.tcb, snp: 1.5 } })], /snp is not an integer/],
];

for (const [what, json, message] of wrong)
  test(`not values: ${what}`, () => {
    assert.throws(
      () => parseSnpValues(json),
      (error) => error instanceof EvidenceFormError && message.test(error.message),
    );
  });
