import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  agentLogSigner,
  Frontier,
  leafHash,
  type LogSigner,
  proveConsistency,
  type TreeHash,
  type TreeHead,
} from '@kata-agent/tlog';
import { formatAddCheckpoint, signCheckpoint } from '@kata-agent/tlog';

export interface BootOptions {
  /** Records of an earlier start. */
  readonly before?: number;
  readonly key?: KeyObject;
  readonly facts?: Readonly<Record<string, unknown>>;
  /** What the boot record says instead of its own key. */
  readonly logKey?: string;
}

/** The audit log of a guest that a test writes record by record, and that can be cloned with its key. */
export class GuestLog {
  readonly signer: LogSigner;
  readonly #key: KeyObject;
  readonly lines: string[];
  readonly #added = new Set<() => void>();

  private constructor(key: KeyObject, lines: readonly string[]) {
    this.#key = key;
    this.signer = agentLogSigner(key);
    this.lines = [...lines];
  }

  /** A log with a boot record for a guest with this pin. */
  static boot(
    pin: string,
    { before = 0, key = generateKeyPairSync('ed25519').privateKey, facts = {}, logKey }: BootOptions = {},
  ): GuestLog {
    const log = new GuestLog(key, []);
    for (let n = 0; n < before; n += 1) log.add();
    const members = {
      kind: 'boot',
      logKey: logKey ?? log.signer.verifier.toString(),
      facts: { tls: { pin }, ...facts },
    };
    log.#write(members);
    return log;
  }

  /** The same virtual machine again, as of so many records. */
  clone(records: number = this.lines.length): GuestLog {
    return new GuestLog(this.#key, this.lines.slice(0, records));
  }

  /** Adds a record. Two clones that add different texts have different logs. */
  add(text = ''): this {
    this.#write({ kind: 'heartbeat', ...(text === '' ? {} : { text }) });
    return this;
  }

  addMany(count: number, text = ''): this {
    for (let n = 0; n < count; n += 1) this.add(text);
    return this;
  }

  get origin(): string {
    return this.signer.verifier.name;
  }

  /** The number of leaves. */
  get size(): number {
    return this.#leaves.length;
  }

  head(size: number = this.size): TreeHead {
    const frontier = new Frontier();
    for (const leaf of this.#leaves.slice(0, size)) frontier.append(leaf);
    return frontier.head();
  }

  proof(oldSize: number, size: number = this.size): readonly TreeHash[] {
    const leaves = this.#leaves;
    return proveConsistency(oldSize, size, (level, index) => (level === 0 ? leaves[index] : undefined));
  }

  /** The checkpoint of the first `size` leaves, signed. */
  checkpoint(size: number = this.size): string {
    return signCheckpoint(this.signer, this.head(size));
  }

  /** The body of add-checkpoint. */
  request(oldSize: number, size: number = this.size): string {
    return formatAddCheckpoint(
      oldSize,
      oldSize > size ? [] : this.proof(oldSize, size),
      this.checkpoint(size),
    );
  }

  /** WatchAudit of this log: records as they are added, until the stream ends. */
  readonly watch: (asked: {
    readonly from?: bigint | undefined;
  }) => AsyncGenerator<{ records: Uint8Array[] }> = (asked) => this.#watch(asked.from ?? 1n);

  async *#watch(from: bigint): AsyncGenerator<{ records: Uint8Array[] }> {
    for (let next = Math.max(0, Number(from) - 1); ; ) {
      const lines = this.lines.slice(next, next + 200);
      next += lines.length;
      if (lines.length > 0) yield { records: lines.map((line) => Buffer.from(line)) };
      else
        await new Promise<void>((resolve) => {
          const done = (): void => {
            this.#added.delete(done);
            resolve();
          };
          this.#added.add(done);
        });
    }
  }

  get #leaves(): readonly TreeHash[] {
    const first = this.lines.findLastIndex((line) => line.includes('"kind":"boot"'));
    return this.lines.slice(first).map((line) => leafHash(line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}')));
  }

  #write(members: Readonly<Record<string, unknown>>): void {
    const last = /"hash":"([0-9a-f]{64})"\}$/.exec(this.lines.at(-1) ?? '')?.[1] ?? '0'.repeat(64);
    const sequence = this.lines.length + 1;
    const envelope = {
      sequence,
      prev: last,
      boot: 'boot',
      monotonic: sequence,
      wall: '2026-11-27T00:00:00.000Z',
    };
    const body = JSON.stringify({ ...envelope, ...members }).slice(0, -1);
    this.lines.push(`${body},"hash":"${createHash('sha256').update(`\0${body}}`).digest('hex')}"}`);
    for (const done of this.#added) done();
  }
}
