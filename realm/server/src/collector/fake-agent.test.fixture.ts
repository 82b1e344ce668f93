import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import {
  type AddressInfo,
  connect,
  createServer as createSocketServer,
  type Server,
  type Socket,
} from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type AuditLog, openAuditLog, sequenceOf, type SignedHead } from '@kata-agent/audit';
import { Management } from '@kata-agent/protocol/management';
import { agentLogSigner, type LogSigner } from '@kata-agent/tlog';
import { Code, createServer, service, TtrpcError } from '@kata-agent/ttrpc';
import type { CollectedAgent } from './collector.js';

const call = {
  listener: 'host',
  peer: 'cid 2',
  method: 'ExecProcess',
  payload: Buffer.from('x'),
};
const decision = { outcome: 'allow', method: 'ExecProcess', listener: 'host', reason: 'listed' } as const;

/** A log of an agent, and what signs it. */
export class WrittenLog {
  readonly signer: LogSigner;
  readonly #file: string;
  readonly #log: AuditLog;

  private constructor(file: string, signer: LogSigner, log: AuditLog) {
    this.#file = file;
    this.signer = signer;
    this.#log = log;
  }

  /** Starts an agent's log, or the next start in the log of `before`. */
  static async start(t: Pick<TestContext, 'after'>, before?: WrittenLog): Promise<WrittenLog> {
    const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
    const file = before === undefined ? join(temporaryDirectory(t), 'audit.log') : before.#file;
    const log = await openAuditLog({ file, maxSize: 1 << 24, keep: 4, bootId: 'boot', signer });
    await log.boot({});
    return new WrittenLog(file, signer, log);
  }

  async add(records: number): Promise<void> {
    for (let n = 0; n < records; n += 1) await this.#log.intent(call, decision);
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  /** Proves that the log, which must not grow meanwhile, begins with so many records. */
  async prove(oldSize: number): Promise<readonly Uint8Array[]> {
    const proof = await this.#log.proveSince(oldSize, await this.#log.checkpoint());
    return proof.map((hash) => Buffer.from(hash, 'hex'));
  }

  checkpoint(): Promise<SignedHead> {
    return this.#log.checkpoint();
  }

  get lines(): readonly Buffer[] {
    const lines = readFileSync(this.#file, 'latin1').split('\n').slice(0, -1);
    return lines.map((line) => Buffer.from(line, 'latin1'));
  }
}

/** The end of an agent that a collector sees. It can lie. */
export class FakeAgent {
  /** What it sends. */
  lines: () => readonly Buffer[];
  /** Undefined: it does not serve GetCheckpoint. */
  checkpoint: (() => Promise<Pick<SignedHead, 'checkpoint' | 'first'>>) | undefined;
  /** The newest checkpoint that witnesses have cosigned. */
  cosigned: (() => string) | undefined;
  /** The consistency proof from so many records. */
  prove: (oldSize: number) => Promise<readonly Uint8Array[]>;
  /** From which sequence number on it was asked for records, each time. */
  readonly asked: number[] = [];
  readonly #server: Server;

  private constructor(server: Server, log: WrittenLog) {
    this.#server = server;
    this.lines = () => log.lines;
    this.checkpoint = () => log.checkpoint();
    this.prove = (oldSize) => log.prove(oldSize);
  }

  /** Sends a log as it is. */
  static async serve(t: Pick<TestContext, 'after'>, log: WrittenLog): Promise<FakeAgent> {
    const server = createSocketServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const agent = new FakeAgent(server, log);
    const management = createServer({ services: [service(Management, agent.#implementation())] });
    server.on('connection', (socket) => management.serve(socket, undefined));
    t.after(() => {
      management.close();
      server.close();
    });
    return agent;
  }

  async connect(): Promise<Socket> {
    const socket = connect((this.#server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }

  /** As a collector gets it. */
  collected(name = 'node-1'): CollectedAgent {
    return { name, source: { kind: 'agent', connect: () => this.connect() } };
  }

  #implementation(): Parameters<typeof service<typeof Management, unknown>>[1] {
    const absent = (): never => {
      throw new TtrpcError(Code.Unimplemented, 'not served');
    };
    return {
      describe: absent,
      revokePeer: absent,
      getCheckpoint: async ({ oldSize }) => {
        if (this.checkpoint === undefined) return absent();
        const { checkpoint, first } = await this.checkpoint();
        return {
          checkpoint: Buffer.from(checkpoint),
          first: BigInt(first),
          cosigned: Buffer.from(this.cosigned?.() ?? ''),
          consistency: oldSize === undefined ? [] : [...(await this.prove(Number(oldSize)))],
        };
      },
      watchAudit: ({ from }, { signal }) => this.#watch(Number(from), signal),
    };
  }

  async *#watch(from: number, signal: AbortSignal): AsyncGenerator<{ records: Uint8Array[] }, void> {
    this.asked.push(from);
    for (let next = from; !signal.aborted; ) {
      const lines = this.lines().filter((line) => sequenceNumber(line) >= next);
      if (lines.length > 0) yield { records: lines };
      const last = lines.at(-1);
      if (last !== undefined) next = sequenceNumber(last) + 1;
      await delay(5, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Of a line that is a record. */
export function sequenceNumber(line: Buffer): number {
  return sequenceOf(line) ?? Number.NaN;
}

export function temporaryDirectory(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'kata-collector-'));
  // Hooks run in the order in which they were added: what writes here may not have ended. Without further attempts the hook can fail, node:test
  // omits the others, and open sockets keep the process.
  t.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }));
  return directory;
}
