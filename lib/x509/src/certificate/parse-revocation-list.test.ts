import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CertificateError } from '../certificate-error.js';
import { bitString, sequence } from '../der/der-writer.js';
import { parseRevocationList, parseRevocationListFields } from './parse-revocation-list.js';

/** By openssl ca -gencrl: of two certificates, one with a reason. */
const two =
  'MIIBBDCBqwIBATAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZvcHMgQ0EXDTI2MTEyNzE4NDQ1NFoXDTM2MTEyNDE4NDQ1NFow' +
  'ODATAgIA/xcNMjYwMTAxMDAwMDAwWjAhAgISNBcNMjYwMTAxMDAwMDAwWjAMMAoGA1UdFQQDCgEBoC8wLTAfBgNVHSMEGDAW' +
  'gBQkUcyjropuwbgelgsPYTVmgKPYOjAKBgNVHRQEAwIBATAKBggqhkjOPQQDAgNIADBFAiEA0Vlp1ymte20LCc2ZU/lHoNRZ' +
  'G6wHiGeWrdFrrkxDPEYCIBr0z2emIcoWQpYAQT0zHvufCLW1ZdGPkEjmOjCnN378';
/** The same CA, without any. */
const none =
  'MIHJMHECAQEwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGb3BzIENBFw0yNjExMjcxODQ0NTRaFw0zNjExMjQxODQ0NTRaoC8w' +
  'LTAfBgNVHSMEGDAWgBQkUcyjropuwbgelgsPYTVmgKPYOjAKBgNVHRQEAwIBAjAKBggqhkjOPQQDAgNIADBFAiAvx8qpGxMy' +
  'UjLO456KEP4i/797MwCyiW2FUgwHMyXXmwIhAJNWgkQtR8h9rioDdCcLVe6Cd6tibfzl4SgYmfz9T1Lh';

function parse(text: string): { readonly issuer: string; readonly serials: readonly string[] } {
  const { issuerText, serials } = parseRevocationList(Buffer.from(text, 'base64'));
  return { issuer: issuerText, serials: [...serials] };
}

test('the serial numbers of a revocation list are read', () => {
  assert.deepEqual(parse(two), { issuer: 'CN=ops CA', serials: ['ff', '1234'] });
  assert.deepEqual(parse(none), { issuer: 'CN=ops CA', serials: [] });
});

test('what is cut off, or has bytes after its end, is no revocation list', () => {
  const bytes = Buffer.from(two, 'base64');
  for (let length = 0; length < bytes.length; length += 1)
    assert.throws(() => parseRevocationList(bytes.subarray(0, length)), CertificateError);
  assert.throws(() => parseRevocationList(Buffer.concat([bytes, Buffer.alloc(1)])), CertificateError);
});

test('the fields that a verifier needs are read', () => {
  const list = parseRevocationListFields(Buffer.from(two, 'base64'));
  assert.equal(list.thisUpdate, Date.UTC(2026, 10, 27, 18, 44, 54));
  assert.equal(list.nextUpdate, Date.UTC(2036, 10, 24, 18, 44, 54));
  assert.deepEqual([...list.criticalExtensions], []);
  assert.equal(Buffer.from(list.algorithm).toString('hex'), '300a06082a8648ce3d040302');
  const whole = sequence(list.signed, list.algorithm, bitString(list.signature));
  assert.equal(Buffer.from(whole).toString('base64'), two);
});

test('critical extensions of a list and of an entry are named', () => {
  // Of the same length: critical in the place of what is given as value.
  const bytes = Buffer.from(two, 'base64');
  const crlNumber = bytes.indexOf(Buffer.from('0603551d1404030201', 'hex'));
  bytes.set(Buffer.from('0603551d140101ff0400', 'hex').subarray(0, 10), crlNumber);
  const list = parseRevocationListFields(bytes);
  assert.deepEqual([...list.criticalExtensions], ['2.5.29.20']);
});
