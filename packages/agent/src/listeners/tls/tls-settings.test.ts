import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noExpiry, parseCertificate, certificatesOfPem, parsePeerEntry } from '@kata-agent/x509';
import { callAtEnd } from './call-at-end.js';
import { readClientCas, readClientCrls, TlsSettingError } from './client-ca.js';
import { makeOwnIdentity } from './own-identity.js';
import { Revocations, TooManyRevocations } from './revocations.js';
import { Authority } from './tls.test.fixture.js';

const ca = new Authority();

const fault = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TlsSettingError, String(error));
  assert.match(`${error.message}: ${error.help}`, pattern);
  return true;
};

describe('client_ca', () => {
  it('is one or several certificates of CAs', () => {
    assert.equal(readClientCas([`${ca.pem}\n${ca.pem}`, ca.pem]).length, 3);
  });

  it('is never empty: Node.js would trust the CAs of the web', () => {
    assert.throws(() => readClientCas([]), fault(/^client_ca is empty: name the CA/));
    assert.throws(
      () => readClientCas(['']),
      fault(/^client_ca contains no PEM certificate: it must contain/),
    );
    assert.throws(() => readClientCas([ca.pem, ca.client().key]), fault(/contains no PEM certificate/));
  });

  it('is the certificate of a CA, and valid DER', () => {
    assert.throws(
      () => readClientCas([ca.client().cert]),
      fault(/certificate 1 is not that of a CA: use .* CA:TRUE/),
    );
    const broken = ca.pem.replace(/\n(.)/, '\nA');
    assert.throws(
      () => readClientCas([ca.pem + broken]),
      fault(/certificate 2: the certificate is not valid DER/),
    );
  });
});

describe('client_crl', () => {
  it('is one or several lists', () => {
    const list = ca.revocationList(['0a']);
    assert.equal(readClientCrls([list + list, list]).length, 3);
    assert.deepEqual(readClientCrls([]), []);
  });

  it('that cannot be read is refused: no certificate would be revoked', () => {
    assert.throws(
      () => readClientCrls(['']),
      fault(/^client_crl contains no PEM certificate revocation list: it must/),
    );
    assert.throws(() => readClientCrls([ca.pem]), fault(/contains no PEM certificate revocation list/));
    const broken = ca.revocationList([]).replace(/\n(.)/, '\nA');
    assert.throws(() => readClientCrls([broken]), fault(/list 1 is not valid/));
  });
});

describe("the agent's own key and certificate (S26)", () => {
  it('are new each time, and the certificate is valid from the floor of the clock without end', async () => {
    const clockFloor = Date.UTC(2026, 10, 26);
    const [one, two] = [await makeOwnIdentity({ clockFloor }), await makeOwnIdentity({ clockFloor })];
    assert.notEqual(one.key, two.key);
    const [bytes = new Uint8Array()] = certificatesOfPem(one.certificate);
    const certificate = parseCertificate(bytes);
    assert.equal(certificate.notBefore, clockFloor);
    assert.equal(certificate.notAfter, noExpiry);
    assert.equal(one.pin, `spki:sha256:${certificate.spki}`);
  });
});

describe('the end of a connection', () => {
  it('is a timer of any length of the monotonic clock', () => {
    let now = 5000;
    const waits: number[] = [];
    let fire: (() => void) | undefined;
    const timers = {
      now: () => now,
      setTimeout: ((work: () => void, wait: number) => {
        waits.push(wait);
        fire = work;
        return { unref: () => 1 };
      }) as unknown as typeof setTimeout,
      clearTimeout: () => undefined,
    };
    let ended = 0;
    callAtEnd(100 * 365 * 86_400_000, () => (ended += 1), timers);
    for (let steps = 0; ended === 0 && steps < 10_000; steps += 1) {
      now += waits.at(-1) ?? 0;
      fire?.();
    }
    assert.equal(ended, 1);
    assert.equal(now - 5000, 100 * 365 * 86_400_000);
    assert.ok(waits.every((wait) => wait > 0 && wait < 2 ** 31));
    assert.equal(waits.length, Math.ceil((100 * 365 * 86_400_000) / (2 ** 31 - 1)));
  });
});

describe('revocations', () => {
  it('are bounded, and one that does not fit is an error', () => {
    const revocations = new Revocations();
    const entry = parsePeerEntry('cn:x');
    for (let index = 0; index < 4096; index += 1) revocations.add({ kind: 'entry', entry });
    assert.throws(() => revocations.add({ kind: 'entry', entry }), TooManyRevocations);
  });
});
