import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificatesOfPem, PemError, revocationListsOfPem } from './pem.js';

const block = (label: string): string => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;

test('blocks of a label are found among others, with both ends of lines', () => {
  const text = `# a note\n${block('CERTIFICATE')}${block('X509 CRL')}${block('CERTIFICATE').replaceAll('\n', '\r\n')}`;
  assert.equal(certificatesOfPem(text).length, 2);
  assert.deepEqual(revocationListsOfPem(text), [block('X509 CRL')]);
});

for (const [what, change] of [
  ['a space after its first line', (text: string) => text.replace('-----\n', '----- \n')],
  ['a header', (text: string) => text.replace('-----\n', '-----\nX: y\n\n')],
  ['a comment before its first line', (text: string) => `# off ${text}`],
  ['no end', (text: string) => text.replace(/-----END.*/, '')],
] as const)
  test(`a block with ${what} is an error: another program would read it`, () => {
    for (const [label, read] of [
      ['CERTIFICATE', certificatesOfPem],
      ['X509 CRL', revocationListsOfPem],
    ] as const)
      assert.throws(() => read(block(label) + change(block(label))), PemError);
  });
