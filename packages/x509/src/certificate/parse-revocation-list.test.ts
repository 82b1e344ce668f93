import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CertificateError } from '../certificate-error.js';
import { parseRevocationList } from './parse-revocation-list.js';

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
