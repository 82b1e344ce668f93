import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { connect, createClient } from '@kata-agent/ttrpc';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { answerOf } from '../harness/sweep.js';
import { openClient } from '../harness/tls-engine.js';
import { hostListener, tenantCaFile, tenantListener, tenantPort } from './listeners.js';
import { boot, imageOf, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { verifiedRecord } from './verified-record.js';

const skip = whyNoMachine() ?? false;

const ca = new Authority('lasting CA', Date.UTC(2099, 0));

const config = `[api]
allowed_endpoints = ["SetGuestDateTime", "GetGuestDetails"]

${hostListener()}
${tenantListener({ peer: 'cn:auditor', rights: 'allowed_endpoints = ["GetGuestDetails"]\n' })}`;

const dayMs = 86_400_000;

/** Before any time of this repository's source. */
const start = '2001-02-03T04:05:06';

describe('a guest whose host starts it in the past (S37)', { skip }, () => {
  const guest = runningGuest('clock', async (directory) => {
    const file = join(directory, 'clock.toml');
    writeFileSync(file, config);
    const files = [{ path: tenantCaFile, data: Buffer.from(ca.pem), mode: 0o644 }];
    const image = await imageOf('clock', { config: file, files });
    return boot(image, directory, { args: ['-rtc', `base=${start}`], ports: [tenantPort] });
  });

  /** Seconds since 1970 on the guest's clock. */
  async function now(): Promise<number> {
    return Number(await shell(guest.machine, 'date +%s'));
  }

  it('has its clock at the floor before its first audit record, and goes only forward', async () => {
    const [boot] = await verifiedRecord(guest.machine, guest.directory);
    const { facts, wall } = boot as {
      facts: { clock: { floor: string; raisedFrom: string } };
      wall: string;
    };
    const { floor, raisedFrom } = facts.clock;
    assert.match(raisedFrom, /^2001-02-03T04:/);
    // That of a commit of this repository, or of a build without git.
    assert.ok(Date.parse(floor) >= Date.UTC(2026, 0) && Date.parse(floor) <= Date.now(), floor);
    assert.ok(wall >= floor, wall);
    const first = await now();
    assert.ok(first * 1000 >= Date.parse(floor) && first * 1000 < Date.parse(floor) + 600_000);
    for (const Sec of [1n, BigInt(Date.parse(floor) / 1000)]) await guest.agent.setGuestDateTime({ Sec });
    assert.ok((await now()) >= first);
    const later = BigInt(first + 100_000);
    await guest.agent.setGuestDateTime({ Sec: later });
    assert.ok((await now()) >= Number(later));
    const records = await verifiedRecord(guest.machine, guest.directory);
    const changes = records
      .filter(({ kind, method }) => kind === 'outcome' && method === 'SetGuestDateTime')
      .map(({ result }) => (result as { clock: { before: string; after: string } }).clock);
    assert.deepEqual(
      changes.map(({ before, after }) => before === after),
      [true, true, false],
    );
    assert.equal(changes[2]?.after, new Date(Number(later) * 1000).toISOString());
  });

  it('set to 2090, keeps out callers whose certificates end before, and cannot be set back', async () => {
    const tenant = ({ cert, key }: ClientCertificate) => {
      const socket = openClient(Number(guest.machine.port(tenantPort)), { cert, key });
      const channel = connect(socket);
      return { agent: createClient(AgentService, channel), channel };
    };
    const codeFor = async (certificate: ClientCertificate): Promise<string> => {
      const { agent, channel } = tenant(certificate);
      const { code } = await answerOf(agent.getGuestDetails({}));
      channel.close();
      return code;
    };
    const usual = ca.client({ notAfter: Date.now() + 400 * dayMs });
    const lasting = ca.client({ notAfter: Date.UTC(2095, 0) });
    assert.equal(await codeFor(usual), 'OK');
    assert.equal(await codeFor(ca.client({ notAfter: Date.UTC(2025, 0) })), 'UNAVAILABLE');
    const before = tenant(usual);
    assert.equal((await answerOf(before.agent.getGuestDetails({}))).code, 'OK');
    await guest.agent.setGuestDateTime({ Sec: BigInt(Date.UTC(2090, 0) / 1000) });
    assert.equal(await codeFor(usual), 'UNAVAILABLE');
    assert.equal(await codeFor(lasting), 'OK');
    // The end of a connection is a time of the monotonic clock, set when it was made.
    assert.equal((await answerOf(before.agent.getGuestDetails({}))).code, 'OK');
    before.channel.close();
    await guest.agent.setGuestDateTime({ Sec: BigInt(Math.floor(Date.now() / 1000)) });
    assert.ok((await now()) * 1000 >= Date.UTC(2090, 0));
    assert.equal(await codeFor(usual), 'UNAVAILABLE');
    assert.equal((await answerOf(guest.agent.getGuestDetails({}))).code, 'OK');
    const reasons = (await verifiedRecord(guest.machine, guest.directory))
      .filter(({ kind }) => kind === 'refusal')
      .map(({ decision }) => JSON.stringify(decision));
    assert.ok(reasons.length > 0 && reasons.every((reason) => /expired/i.test(reason)), reasons.join('\n'));
  });
});
