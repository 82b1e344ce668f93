import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { boot, imageOf, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { verifiedRecord } from './verified-record.js';

const skip = whyNoMachine() ?? false;

const config = `[api]
allowed_endpoints = ["SetGuestDateTime", "GetGuestDetails"]

[[listener]]
name = "host"
address = "vsock://-1:1024"
peers = ["host", "cid:1"]
`;

/** Before any time of this repository's source. */
const start = '2001-02-03T04:05:06';

describe('a guest whose host starts it in the past (S37)', { skip }, () => {
  const guest = runningGuest('clock', async (directory) => {
    const file = join(directory, 'clock.toml');
    writeFileSync(file, config);
    return boot(await imageOf('clock', { config: file }), directory, { args: ['-rtc', `base=${start}`] });
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
    // A commit of this repository.
    assert.ok(Date.parse(floor) > Date.UTC(2026, 0) && Date.parse(floor) <= Date.now(), floor);
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
});
