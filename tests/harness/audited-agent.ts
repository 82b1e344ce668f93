import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentProcess } from './agent-process.js';
import { CollectorProcess } from './collector-process.js';
import { until } from './realm-process.js';

export interface AuditedAgentOptions {
  /** Methods of the listener of the collector. */
  readonly management?: readonly string[];
  readonly maxSize?: string;
  readonly keep?: number;
}

/** An agent whose audit log is collected, and a client that fills the log. */
export class AuditedAgent {
  readonly home: string;
  /** Of the listener that serves the log. */
  readonly address: string;
  #agent: AgentProcess | undefined;
  readonly #options: AuditedAgentOptions;

  private constructor(options: AuditedAgentOptions) {
    this.home = mkdtempSync(join(tmpdir(), 'kata-audited-'));
    this.address = `unix://${this.home}/tenant.sock`;
    this.#options = options;
  }

  static async start(options: AuditedAgentOptions = {}): Promise<AuditedAgent> {
    const agent = new AuditedAgent(options);
    await agent.startAgain();
    return agent;
  }

  /** Starts it with the same log, or with one of another directory. */
  async startAgain(log = 'log'): Promise<void> {
    const { management = ['WatchAudit', 'GetCheckpoint'], maxSize = '64MiB', keep = 4 } = this.#options;
    this.#agent = await AgentProcess.start({
      config: `[api]
allowed_endpoints = ["*"]
release = "4.1"

[audit]
file = "${this.home}/${log}/audit.log"
heartbeat = "1s"
max_size = "${maxSize}"
keep = ${keep}

[[listener]]
name = "host"
address = "vsock://-1:1024"
allowed_endpoints = ["*"]

[[listener]]
name = "tenant"
address = "${this.address}"
allowed_endpoints = []
management = [${management.map((name) => `"${name}"`).join(', ')}]
`,
    });
  }

  async stop(): Promise<void> {
    await this.#agent?.dispose();
    this.#agent = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }

  /** Makes calls until the returned function is called. */
  async load(): Promise<() => Promise<void>> {
    if (this.#agent === undefined) throw new Error('the agent is stopped');
    const { agent: host } = await this.#agent.connect();
    const stopped = new AbortController();
    const calling = (async () => {
      for (let calls = 0; !stopped.signal.aborted; calls += 1) {
        await host.reseedRandomDev({ data: Buffer.from(`${calls}`) });
        // A few hundred records a second: the test counts them, and does not measure.
        await delay(2);
      }
    })();
    return async () => {
      stopped.abort();
      await calling;
    };
  }

  /** The lines of its log, oldest first. */
  lines(log = 'log'): readonly string[] {
    const directory = join(this.home, log);
    const segments = readdirSync(directory).filter((name) => /^audit\.log(\.\d+)?$/.test(name));
    const numberOf = (name: string): number => Number(/\.(\d+)$/.exec(name)?.[1] ?? 0);
    return segments
      .sort((a, b) => numberOf(b) - numberOf(a))
      .flatMap((name) => readFileSync(join(directory, name), 'latin1').split('\n').slice(0, -1));
  }
}

/** How often a line arrived, compared with those that were written. */
export interface Count {
  readonly written: number;
  readonly missing: number;
  /** Arrivals beyond the first. */
  readonly repeated: number;
  /** Lines that were not written. */
  readonly foreign: number;
}

export function count(written: readonly string[], arrived: readonly string[]): Count {
  const times = new Map<string, number>();
  for (const line of arrived) times.set(line, (times.get(line) ?? 0) + 1);
  const known = new Set(written);
  return {
    written: written.length,
    missing: written.filter((line) => !times.has(line)).length,
    repeated: Array.from(times.values()).reduce((sum, each) => sum + each - 1, 0),
    foreign: Array.from(times.keys()).filter((line) => !known.has(line)).length,
  };
}

/** A receiver of a test. */
export interface Receiver {
  /** Lines that have arrived, also repeatedly. */
  arrived(): readonly string[] | Promise<readonly string[]>;
  /** Kills it, and starts it again. */
  restart(): Promise<void>;
}

/**
 * Collects the log of an agent under load while the collector is killed 20 times, and the receiver after each fourth time. Resolves
 * when the last collector has sent what was written, and has ended: with its exit code and alerts.
 */
export async function collectThroughKills(
  agent: AuditedAgent,
  receiver: Receiver,
  args: readonly string[],
): Promise<{ readonly count: Count; readonly code: number | null; readonly last: CollectorProcess }> {
  const begin = (): CollectorProcess => new CollectorProcess(['-a', agent.address, ...args]);
  const distinct = async (): Promise<number> => new Set(await receiver.arrived()).size;
  const more = async (than: number, from: CollectorProcess): Promise<void> => {
    await until('records come', async () => (await distinct()) > than).catch((error: Error) => {
      throw new Error(`${error.message}\n${from.stderr}`);
    });
  };
  const stopLoad = await agent.load();
  for (let kill = 0; kill < 20; kill += 1) {
    const before = await distinct();
    const collector = begin();
    await more(before, collector);
    const restarting = kill % 4 === 3 ? receiver.restart() : undefined;
    await delay(kill * 5);
    await restarting;
    // Once the collector outlives the receiver.
    if (kill === 11) await more(await distinct(), collector);
    await collector.end('SIGKILL');
  }
  await stopLoad();
  const written = agent.lines();
  const last = begin();
  await until(
    'all have arrived',
    async () => {
      const arrived = new Set(await receiver.arrived());
      return written.every((line) => arrived.has(line));
    },
    60_000,
  ).catch(() => undefined);
  const code = await last.end();
  // Heartbeats are written meanwhile.
  const later = agent.lines().slice(written.length);
  const arrived = await receiver.arrived();
  const total = count([...written, ...later], arrived);
  return { count: { ...total, missing: count(written, arrived).missing }, code, last };
}

/**
 * Collects the log of an agent, and again after rotation has removed records that were not collected. Resolves with the exit code
 * and the kinds of the alerts of the second collector.
 */
export async function collectAfterRotation(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly kinds: readonly (string | undefined)[] }> {
  const agent = await AuditedAgent.start({ maxSize: '64KiB', keep: 1 });
  const begin = (): CollectorProcess => new CollectorProcess(['-a', agent.address, ...args]);
  const first = begin();
  await until('a checkpoint agrees', () => first.has('a checkpoint agrees'));
  await first.end();
  const stopLoad = await agent.load();
  await until('records are removed', () => !agent.lines()[0]?.startsWith('{"sequence":1,'), 30_000);
  await until('more are removed', () => Number(/\d+/.exec(agent.lines()[0] ?? '')?.[0]) > 100, 30_000);
  await stopLoad();
  const second = begin();
  await until('it is said', () => second.alerts.length > 0);
  const code = await second.end();
  await agent.remove();
  return { code, kinds: second.alerts.map(({ kind }) => kind) };
}
