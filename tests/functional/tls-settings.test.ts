import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noExpiry, parseCertificate, certificatesOfPem, parsePeerEntry } from '@kata-agent/x509';
import { createTlsEngine, makeOwnIdentity, Revocations, TlsSettingError } from '@kata-agent/agent/tls';
import { Authority } from '../harness/authority.js';

const ca = new Authority();
const own = await makeOwnIdentity({ clockFloor: 0 });

/** Creates an engine, which reads the setting. */
function read(clientCa: readonly string[]): void {
  createTlsEngine({
    clientCa,
    own,
    peers: [],
    revocations: new Revocations(),
    limits: { handshakes: 1, handshakesPerSecond: 1, handshakeTimeoutMs: 1 },
    now: Date.now,
    onPeer: () => undefined,
    onRefusal: () => undefined,
    onEnd: () => undefined,
  });
}

const fault = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TlsSettingError, String(error));
  assert.match(`${error.message}: ${error.help}`, pattern);
  return true;
};

describe('client_ca', () => {
  it('is one or several certificates of CAs', () => {
    read([`${ca.pem}\n${ca.pem}`, ca.pem]);
  });

  it('is never empty: Node.js would trust the CAs of the web', () => {
    assert.throws(() => read([]), fault(/^client_ca is empty: name the CA/));
    assert.throws(() => read(['']), fault(/^client_ca contains no PEM certificate: it must contain/));
    assert.throws(() => read([ca.pem, ca.client().key]), fault(/contains no PEM certificate/));
  });

  it('is the certificate of a CA, and valid DER', () => {
    assert.throws(() => read([ca.client().cert]), fault(/certificate 1 is not that of a CA: use .* CA:TRUE/));
    const broken = ca.pem.replace(/\n(.)/, '\nA');
    assert.throws(() => read([ca.pem + broken]), fault(/certificate 2: the certificate is not valid DER/));
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

describe('revocations', () => {
  it('are bounded, and one that does not fit is an error', () => {
    const revocations = new Revocations();
    const revoke = (name: number): number =>
      revocations.add(
        { kind: 'entry', entry: parsePeerEntry(`cn:${name}`) },
        { key: 'server', isServer: true },
      );
    for (let name = 0; name < 4096; name += 1) revoke(name);
    assert.throws(() => revoke(4096), {
      name: 'TtrpcError(RESOURCE_EXHAUSTED)',
      message: /revocations.* already/,
    });
  });
});
