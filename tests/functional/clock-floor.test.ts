import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connect } from 'node:tls';
import { raiseClock } from '@kata-agent/agent/tls';
import { RecordingSyscalls } from '@kata-agent/linux';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { attempt, startEngine } from '../harness/tls-engine.js';

const lists = '[api]\nallowed_endpoints = ["SetGuestDateTime"]\n';
const withFloor = (floor: string): string => `[agent]\nclock_floor = "${floor}"\n\n${lists}`;

/** CAP_SYS_TIME (linux/capability.h). */
const setsTime = 1n << 25n;

/** Starts an agent that cannot set the clock, which is this machine's: a fault of the agent must not change it. */
async function agentOf(config?: string, program?: string): Promise<AgentProcess> {
  const agent = await AgentProcess.start({
    ...(config === undefined ? {} : { config }),
    ...(program === undefined ? {} : { program }),
    setup: 'exec setpriv --bounding-set -sys_time --inh-caps -sys_time "$0" "$@"',
  });
  const status = readFileSync(`/proc/${agent.process.pid}/status`, 'utf8');
  const [, effective] = /^CapEff:\t(\w+)$/m.exec(status) ?? [];
  if (effective !== undefined && (BigInt(`0x${effective}`) & setsTime) === 0n) return agent;
  await agent.dispose();
  throw new Error(`the agent could set the clock of this machine: ${status}`);
}

function bootFacts(agent: AgentProcess): Readonly<Record<string, unknown>> {
  const [boot] = agent.records();
  return (boot as { facts: Readonly<Record<string, unknown>> }).facts;
}

function recordsOf(agent: AgentProcess, kind: string): readonly Readonly<Record<string, unknown>>[] {
  return agent
    .records()
    .filter((record) => record['method'] === 'SetGuestDateTime' && record['kind'] === kind);
}

function contentOf(directory: string): readonly (readonly [string, string])[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return names
    .filter((name) => statSync(join(directory, name)).isFile())
    .map((name) => [name, readFileSync(join(directory, name), 'base64')]);
}

describe('the clock of a guest (S37)', () => {
  it('is not set back: the call succeeds, and is recorded with both times', async () => {
    const agent = await agentOf(withFloor('2020-01-01T00:00:00Z'));
    try {
      assert.deepEqual(bootFacts(agent)['clock'], { floor: '2020-01-01T00:00:00.000Z' });
      const { agent: client } = await agent.connect();
      for (const Sec of [1000n, 1_600_000_000n, BigInt(Math.floor(Date.now() / 1000)) - 1n])
        assert.deepEqual(await answerOf(client.setGuestDateTime({ Sec })), { code: 'OK', message: '' });
      // One that is forward reaches the kernel, which refuses it to this agent.
      const forward = BigInt(Math.floor(Date.now() / 1000)) + 3600n;
      assert.notEqual((await answerOf(client.setGuestDateTime({ Sec: forward }))).code, 'OK');
      await agent.stop();
      assert.deepEqual(recordsOf(agent, 'intent')[0]?.['request'], { time: '1970-01-01T00:16:40.000Z' });
      const outcomes = recordsOf(agent, 'outcome').map(
        ({ result }) => result as { clock?: { before: string; after: string } },
      );
      assert.equal(outcomes.length, 4);
      for (const { clock } of outcomes.slice(0, 3)) {
        assert.equal(clock?.before, clock?.after);
        assert.ok(Math.abs(Date.parse(clock?.before ?? '') - Date.now()) < 60_000);
      }
      assert.equal(outcomes[3]?.clock, undefined, 'a call that failed changed nothing');
    } finally {
      await agent.dispose();
    }
  });

  it('below its floor is a warning of an agent that is not PID 1, which does not set it', async () => {
    const agent = await agentOf(withFloor('2200-01-01T00:00:00Z'));
    try {
      assert.deepEqual(bootFacts(agent)['clock'], { floor: '2200-01-01T00:00:00.000Z' });
      assert.ok(agent.log.some((line) => line.includes('the clock is below its floor')));
      assert.equal(new Date().getUTCFullYear() < 2200, true);
      // An earlier time counts as the floor.
      const { agent: client } = await agent.connect();
      assert.match((await answerOf(client.setGuestDateTime({ Sec: 1000n }))).message, /7258118400 seconds/);
    } finally {
      await agent.dispose();
    }
  });

  it('has no floor without a configuration: any time reaches the kernel, as with Kata’s agent', async () => {
    const agent = await agentOf();
    try {
      const { agent: client } = await agent.connect();
      assert.match((await answerOf(client.setGuestDateTime({ Sec: 1000n }))).message, /1000 seconds/);
      assert.equal(agent.log.join().includes('below its floor'), false);
    } finally {
      await agent.dispose();
    }
  });

  it('has a floor that no override changes', async () => {
    const { code, stderr } = await AgentProcess.run({
      config: lists,
      args: ['--clock-floor', '1970-01-01T00:00:00Z'],
    });
    assert.notEqual(code, 0);
    assert.match(stderr, /unknown option '--clock-floor'/);
  });

  it('has the time of the source as its floor in a bundle, and each build the same', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-clock-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const bundle = (name: string): string => {
      const out = join(directory, name);
      const { status, stderr } = spawnSync(
        process.execPath,
        ['scripts/bundle.mjs', '--compiled', '--out', out],
        { encoding: 'utf8', cwd: repository, env: { ...process.env, SOURCE_DATE_EPOCH: '1750000000' } },
      );
      assert.equal(status, 0, stderr);
      return join(out, 'kata-agent.cjs');
    };
    const agent = await agentOf(lists, bundle('one'));
    try {
      assert.deepEqual(bootFacts(agent)['clock'], { floor: '2025-06-15T15:06:40.000Z' });
    } finally {
      await agent.dispose();
    }
    bundle('two');
    assert.deepEqual(contentOf(join(directory, 'two')), contentOf(join(directory, 'one')));
  });
});

describe('certificates are checked by a clock at its floor or later (S26, S37)', { timeout: 60_000 }, () => {
  const ca = new Authority();

  it('also if the host starts the guest in 1970', async (t) => {
    // Later than this machine's clock, by which OpenSSL verifies.
    const floor = Date.now() + 7_200_000;
    let wall = 1000;
    const syscalls = new RecordingSyscalls({
      setRealTime: (seconds, nanoseconds) => {
        wall = Number(seconds) * 1000 + nanoseconds / 1_000_000;
      },
    });
    const running = await startEngine(t, ca, { now: () => wall });
    await attempt(running.port, ca.client());
    assert.equal((await running.refused(1))[0]?.reason, 'not-yet-valid', 'before');
    const raise = (ownsKernel: boolean) =>
      raiseClock(floor, { syscalls, ownsKernel, now: () => wall, log: () => undefined });
    raise(false);
    await attempt(running.port, ca.client());
    assert.equal((await running.refused(2))[1]?.reason, 'not-yet-valid', 'not as PID 1');
    raise(true);
    assert.equal((await attempt(running.port, ca.client())).greeted, true);
    const expired = ca.client({ notAfter: floor - 3_600_000 });
    await attempt(running.port, expired);
    assert.equal((await running.refused(3))[2]?.reason, 'expired', 'before the floor');
  });

  it('and the agent’s own is valid from the floor on', async () => {
    const host = `127.${(process.pid >> 16) & 0xff}.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
    const listener = `
[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "tenant"
address = "tls://${host}:8443"
peers = ["*"]
tls = { client_ca = ${JSON.stringify(ca.pem)} }
`;
    const agent = await AgentProcess.start({
      config: `${withFloor('2021-02-03T04:05:06Z')}${listener}`,
      sharesNetwork: true,
    });
    try {
      const socket = connect({ host, port: 8443, ...ca.client(), rejectUnauthorized: false });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      assert.equal(socket.getPeerCertificate().valid_from, 'Feb  3 04:05:06 2021 GMT');
      socket.destroy();
    } finally {
      await agent.dispose();
    }
  });
});
