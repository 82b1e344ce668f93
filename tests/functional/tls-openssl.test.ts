import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTlsEngine, makeOwnIdentity, Revocations, TlsSettingError } from '@kata-agent/agent/tls';
import { Authority } from '../harness/authority.js';
import { whyWithout } from '../harness/prerequisites.js';
import { attempt, startEngine, until } from '../harness/tls-engine.js';

const skip = whyWithout('openssl') ?? false;
const ca = new Authority();
const other = new Authority('other CA');
const own = await makeOwnIdentity({ clockFloor: 0 });

function files(t: TestContext, contents: Readonly<Record<string, string>>): (name: string) => string {
  const directory = mkdtempSync(join(tmpdir(), 'kata-tls-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  for (const [name, text] of Object.entries(contents)) writeFileSync(at(name), text);
  return at;
}

describe('OpenSSL and the TLS engine', { skip }, () => {
  it("accepts the agent's certificate, strictly and for both ends", async (t) => {
    const evidence = Buffer.concat([Buffer.from('04821000', 'hex'), Buffer.alloc(4096)]);
    const clockFloor = Date.UTC(2026, 10, 26, 12);
    const own = await makeOwnIdentity({
      clockFloor,
      extensions: [{ oid: '1.3.6.1.4.1.55555.1', value: evidence }],
    });
    const path = files(t, { own: own.certificate })('own');
    for (const purpose of ['sslserver', 'sslclient']) {
      const checks = ['-x509_strict', '-check_ss_sig', '-purpose', purpose];
      const time = ['-attime', String(clockFloor / 1000 + 1)];
      const { status, stdout, stderr } = spawnSync(
        'openssl',
        ['verify', ...checks, ...time, '-CAfile', path, path],
        { encoding: 'utf8' },
      );
      assert.equal(`${stdout}${stderr}`, `${path}: OK\n`);
      assert.equal(status, 0);
    }
  });

  it('accepts no early data', async (t) => {
    const running = await startEngine(t, ca);
    const { key, cert } = ca.client();
    const path = files(t, { key, cert, early: 'early data' });
    const common = ['s_client', '-connect', `127.0.0.1:${running.port}`, '-alpn', 'kata-agent-ttrpc'];
    const own = ['-key', path('key'), '-cert', path('cert')];
    const first = await openssl([...common, ...own, '-sess_out', path('session')]);
    assert.match(first, /Max Early Data: 0/);
    const second = await openssl([
      ...common,
      ...own,
      '-sess_in',
      path('session'),
      '-early_data',
      path('early'),
    ]);
    assert.match(second, /^New, TLSv1\.3/m);
    assert.doesNotMatch(second, /Early data was accepted/);
    await until(() => running.peers.length === 2);
    assert.doesNotMatch(running.received(), /early data/);
  });

  it('refuses a certificate on the CRL, and only that', async (t) => {
    const revoked = ca.client();
    const lists = [other.revocationList([]), ca.revocationList([revoked.serial()])];
    // Two lists in one text, as of two CAs in one file.
    const running = await startEngine(t, ca, { clientCa: [ca.pem + other.pem], clientCrl: [lists.join('')] });
    assert.equal((await attempt(running.port, revoked)).greeted, false);
    assert.equal((await running.refused(1))[0]?.reason, 'revoked');
    assert.equal((await attempt(running.port, ca.client())).greeted, true);
    assert.equal((await attempt(running.port, other.client())).greeted, true);
  });

  it('refuses all clients of a CA whose CRL is missing or has expired', async (t) => {
    const missing = await startEngine(t, ca, {
      clientCa: [ca.pem, other.pem],
      clientCrl: [ca.revocationList([])],
    });
    assert.equal((await attempt(missing.port, other.client())).greeted, false);
    assert.equal((await missing.refused(1))[0]?.reason, 'crl');
    const old = ['-crl_lastupdate', '20210101000000Z', '-crl_nextupdate', '20210201000000Z'];
    const expired = await startEngine(t, ca, { clientCrl: [ca.revocationList([], old)] });
    assert.equal((await attempt(expired.port, ca.client())).greeted, false);
    assert.equal((await expired.refused(1))[0]?.reason, 'crl');
  });
});

describe('client_crl', { skip }, () => {
  it('is one or several lists', () => {
    const list = ca.revocationList(['0a']);
    read([list + list, list]);
    read([]);
  });

  it('that cannot be read is refused: no certificate would be revoked', () => {
    assert.throws(
      () => read(['']),
      fault(/^client_crl contains no PEM certificate revocation list: it must/),
    );
    assert.throws(() => read([ca.pem]), fault(/contains no PEM certificate revocation list/));
    const broken = ca.revocationList([]).replace(/\n(.)/, '\nA');
    assert.throws(() => read([broken]), fault(/list 1 is not valid/));
  });
});

/** Creates an engine, which reads the setting. */
function read(clientCrl: readonly string[]): void {
  createTlsEngine({
    clientCa: [ca.pem],
    clientCrl,
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

/** Runs openssl until it has been greeted; its standard input then ends. */
async function openssl(args: readonly string[]): Promise<string> {
  const child = spawn('openssl', args, { stdio: 'pipe' });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  await until(() => output.includes('welcome'));
  await sleep(50);
  child.stdin.end();
  await new Promise((resolve) => child.once('close', resolve));
  return output;
}
