import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { connect, createClient } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { ctlProgram } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';

const ca = new Authority();
/** An address of loopback that no other test uses at the same time. */
const host = `127.${(process.pid >> 16) & 0xff}.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
const address = `tls://${host}:8443`;

function configOf(clientCa: string, rest = ''): string {
  return `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev", "SetGuestDateTime"]

[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "tenant"
address = "${address}"
peers = ["uri:spiffe://example/ops/*", "cn:auditor"]
tls = { client_ca = ${JSON.stringify(clientCa)} }
limits = { connections = 4, handshakes_per_second = 1000 }
allowed_endpoints = ["GetGuestDetails"]
management = ["Describe", "WatchAudit", "RevokePeer"]

[[api.rule]]
name = "details-for-alice"
endpoints = ["GetGuestDetails"]
expression = 'peer.kind != "tls" || "uri:spiffe://example/ops/alice" in peer.sans'
${rest}`;
}

function dial({ cert, key }: Pick<ClientCertificate, 'cert' | 'key'>): TLSSocket {
  return connectTls({
    host,
    port: 8443,
    cert,
    key,
    ALPNProtocols: ['kata-agent-ttrpc'],
    rejectUnauthorized: false,
  });
}

function connectionOf(certificate: ClientCertificate) {
  const socket = dial(certificate);
  const channel = connect(socket);
  return {
    socket,
    channel,
    agent: createClient(AgentService, channel),
    health: createClient(Health, channel),
  };
}

describe('a tls:// listener of an agent (R14, S26)', () => {
  let agent: AgentProcess;
  const alice = ca.client({ commonNames: [], uris: ['spiffe://example/ops/alice'] });
  const auditor = ca.client();

  before(async () => {
    agent = await AgentProcess.start({ config: configOf(ca.pem), sharesNetwork: true });
  });
  after(() => agent.dispose());

  /** The pin in the first record. */
  function pin(): string {
    const [boot] = agent.records();
    return (boot as { facts: { tls: { pin: string } } }).facts.tls.pin;
  }

  function ctl(args: readonly string[], certificate: ClientCertificate, believed = pin()) {
    const files = { cert: join(agent.directory, 'cert'), key: join(agent.directory, 'key') };
    writeFileSync(files.cert, certificate.cert);
    writeFileSync(files.key, certificate.key);
    const options = ['-a', address, '--cert', files.cert, '--key', files.key, '--pin', believed];
    return spawnSync(process.execPath, [ctlProgram, ...args, ...options], { encoding: 'utf8' });
  }

  it('serves its own list to its peers, who rules see by their certificates', async () => {
    const { agent: asAlice, channel } = connectionOf(alice);
    assert.equal((await answerOf(asAlice.getGuestDetails({}))).code, 'OK');
    const reseed = await answerOf(asAlice.reseedRandomDev({ data: new Uint8Array(8) }));
    assert.equal(reseed.code, 'UNIMPLEMENTED');
    channel.close();
    const other = connectionOf(auditor);
    assert.match((await answerOf(other.agent.getGuestDetails({}))).message, /details-for-alice/);
    other.channel.close();
  });

  it('records calls and refused connections under the listener and the peer', async () => {
    const stranger = connectionOf(ca.client({ commonNames: ['stranger'] }));
    assert.notEqual((await answerOf(stranger.health.check({}))).code, 'OK');
    const foreign = connectionOf(new Authority('another').client());
    assert.notEqual((await answerOf(foreign.health.check({}))).code, 'OK');
    const refusals = () =>
      agent.records().filter(({ method, kind }) => method === '(connection)' && kind === 'refusal');
    while (refusals().length < 2) await delay(5);
    const texts = refusals().map((record) => JSON.stringify(record));
    assert.ok(
      texts.some(
        (text) => /"KA3203".*not in peers/.test(text) && /tls sha256:[0-9a-f]{64} CN=stranger/.test(text),
      ),
    );
    assert.ok(texts.some((text) => /"tls loopback".*"KA3203".*no CA of client_ca/.test(text)));
    const call = agent.records().find(({ method }) => method === 'GetGuestDetails');
    assert.equal(call?.['listener'], 'tenant');
    assert.match(String(call?.['peer']), /^tls sha256:[0-9a-f]{64} uri:spiffe:/);
  });

  it('closes connections beyond its limit, and stays open to the host meanwhile', async () => {
    const many = Array.from({ length: 4 }, () => connectionOf(alice));
    for (const { health } of many) assert.equal((await answerOf(health.check({}))).code, 'OK');
    const fifth = connectionOf(alice);
    assert.notEqual((await answerOf(fifth.health.check({}))).code, 'OK');
    const onHost = await agent.connect();
    assert.equal((await answerOf(onHost.health.check({}))).code, 'OK');
    for (const { channel } of many) channel.close();
  });

  it('kata-agent-ctl believes the pin of the first record, and no other', () => {
    const described = ctl(['describe'], auditor);
    assert.equal(described.status, 0, described.stderr);
    assert.match(described.stdout, /listener tenant at tls:\/\//);
    const wrong = ctl(['describe'], auditor, `spki:sha256:${'0'.repeat(64)}`);
    assert.equal(wrong.status, 3);
    assert.match(wrong.stderr, /pin/);
  });

  it('revokes a peer: its connections close, and it cannot return', async () => {
    const bob = ca.client({ commonNames: [], uris: ['spiffe://example/ops/bob'] });
    const open = connectionOf(bob);
    assert.equal((await answerOf(open.health.check({}))).code, 'OK');
    const wrong = ctl(['revoke', '*'], auditor);
    assert.match(wrong.stderr, /INVALID_ARGUMENT.*would revoke every peer/);
    const revoked = ctl(['revoke', 'uri:spiffe://example/ops/bob'], auditor);
    assert.equal(revoked.stdout, 'revoked; 1 connection closed\n', revoked.stderr);
    await open.channel.closed;
    assert.notEqual((await answerOf(connectionOf(bob).health.check({}))).code, 'OK');
    const other = connectionOf(alice);
    assert.equal((await answerOf(other.health.check({}))).code, 'OK');
    other.channel.close();
    const intent = agent
      .records()
      .findLast(({ method, kind }) => method === 'RevokePeer' && kind === 'intent');
    assert.deepEqual(intent?.['request'], { revoked: 'uri:spiffe://example/ops/bob' });
  });

  it('has another key after another start', async () => {
    const before = pin();
    await agent.dispose();
    agent = await AgentProcess.start({ config: configOf(ca.pem), sharesNetwork: true });
    assert.notEqual(pin(), before);
  });
});

describe('the files that a configuration names', () => {
  it('are read at start, measured with it, and as config digest --root says', async () => {
    const agent = await AgentProcess.start({
      config: configOf('/run/tenant-ca.pem'),
      sharesNetwork: true,
      setup: `printf '%s' '${ca.pem}' > /run/tenant-ca.pem`,
    });
    const root = join(agent.directory, 'root');
    execFileSync('mkdir', ['-p', join(root, 'run')]);
    writeFileSync(join(root, 'run', 'tenant-ca.pem'), ca.pem);
    const [boot] = agent.records();
    const { facts } = boot as unknown as { facts: { digest: string; files: readonly object[] } };
    await agent.stop();
    const document = join(agent.directory, 'config.toml');
    const digest = (...args: readonly string[]) =>
      spawnSync(process.execPath, [ctlProgram, 'config', 'digest', document, ...args], {
        encoding: 'utf8',
      });
    assert.ok(digest('--root', root).stdout.includes(facts.digest));
    assert.equal(facts.files.length, 1);
    const without = digest();
    assert.equal(without.status, 2);
    assert.match(without.stderr, /listener\.tenant\.tls\.client_ca.*--root/s);
    await agent.dispose();
  });

  it('stop the start if they are missing or something else', async () => {
    for (const [setup, expectedText] of [
      [':', /KA1406.*client_ca/],
      ['echo nothing > /run/tenant-ca.pem', /has no certificate/],
    ] as const) {
      const { code, stderr } = await AgentProcess.run({
        config: configOf('/run/tenant-ca.pem'),
        sharesNetwork: true,
        setup,
      });
      assert.equal(code, 1, stderr);
      assert.match(stderr, expectedText);
    }
  });
});
