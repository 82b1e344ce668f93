import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificatePem } from '@kata-agent/x509';
import * as fc from 'fast-check';
import { EvidenceFormError } from '../evidence-error.js';
import {
  level,
  makeChain,
  makeLists,
  makeQeIdentity,
  makeTcbInfo,
  signDocument,
} from '../testing/tdx-platform.js';
import { parseCollateral } from './collateral.js';

const parse = (bytes: Uint8Array): ReturnType<typeof parseCollateral> =>
  parseCollateral(new Map([['file', bytes]]));
const [certificate = new Uint8Array()] = makeChain();
const [list = new Uint8Array()] = makeLists();
const listPem = `-----BEGIN X509 CRL-----\n${Buffer.from(list).toString('base64')}\n-----END X509 CRL-----\n`;

test('files are read by their content', () => {
  const chain = Buffer.from(makeChain().map(certificatePem).join(''));
  const files = { chain, certificate, list, listPem: Buffer.from(listPem) };
  const documents = {
    tcb: signDocument('tcbInfo', makeTcbInfo()),
    qe: Buffer.from(`${signDocument('enclaveIdentity', makeQeIdentity()).toString()}\n`),
  };
  const collateral = parseCollateral(new Map(Object.entries({ ...files, ...documents })));
  assert.equal(collateral.certificates.length, 4);
  assert.equal(collateral.revocationLists.length, 2);
  assert.equal(collateral.tcbInfos[0]?.value.fmspc, '90c06f000000');
  assert.equal(collateral.qeIdentities[0]?.value.isvProdId, 2);
});

const document = (value: object, name: 'tcbInfo' | 'enclaveIdentity' = 'tcbInfo'): Uint8Array =>
  signDocument(name, value);
const wrong: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['an empty file', new Uint8Array(), /neither a certificate nor/],
  [
    'a certificate with a byte behind',
    Buffer.concat([certificate, Buffer.alloc(1)]),
    /neither a certificate nor/,
  ],
  [
    'a key in PEM',
    Buffer.from('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'),
    /neither certificates/,
  ],
  ['a broken certificate in PEM', Buffer.from(certificatePem(certificate.subarray(1))), /cannot be read/],
  ['a document without a signature', Buffer.from('{"tcbInfo":{}}'), /it is not \{"tcbInfo"/],
  [
    'a document that is not JSON',
    Buffer.from(`{"tcbInfo":{x},"signature":"${'00'.repeat(64)}"}`),
    /it is not JSON/,
  ],
  [
    'a document with spaces',
    Buffer.from(`{"tcbInfo": {},"signature":"${'00'.repeat(64)}"}`),
    /it is not \{"tcbInfo"/,
  ],
  ['TCB info of SGX', document(makeTcbInfo({ id: 'SGX' })), /version 3 for TDX/],
  ['TCB info of version 2', document(makeTcbInfo({ version: 2 })), /version 3 for TDX/],
  ['an identity of the QE of SGX', document(makeQeIdentity({ id: 'QE' }), 'enclaveIdentity'), /TD_QE/],
  ['no levels', document(makeTcbInfo({ tcbLevels: [] })), /tcbLevels is empty/],
  [
    'an unknown status',
    document(makeTcbInfo({ tcbLevels: [level({ status: 'Fine' })] })),
    /status "Fine" is unknown/,
  ],
  [
    '15 components',
    document(
      makeTcbInfo({
        tcbLevels: [
          {
            ...level({ status: 'UpToDate' }),
            tcb: { pcesvn: 1, sgxtcbcomponents: [], tdxtcbcomponents: [] },
          },
        ],
      }),
    ),
    /0 components, not 16/,
  ],
  ['an invalid date', document(makeTcbInfo({ nextUpdate: 'tomorrow' })), /nextUpdate is not a time/],
  ['no module', document(makeTcbInfo({ tdxModule: undefined })), /tdxModule is not an object/],
  [
    'a mask of another length',
    document(makeQeIdentity({ attributesMask: '00' }), 'enclaveIdentity'),
    /attributesMask is not 16 bytes/,
  ],
];

for (const [what, bytes, message] of wrong)
  test(`no collateral: ${what}`, () => {
    assert.throws(
      () => parse(bytes),
      (error) =>
        error instanceof EvidenceFormError &&
        error.message.startsWith('file: ') &&
        message.test(error.message),
    );
  });

test('any bytes are collateral or an EvidenceFormError', () => {
  const json = fc.json().map((value) => Buffer.from(`{"tcbInfo":${value},"signature":"${'00'.repeat(64)}"}`));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 500 }), json), (bytes) => {
      try {
        parse(bytes);
      } catch (error) {
        assert.ok(error instanceof EvidenceFormError);
      }
    }),
  );
});
