import { Semaphore } from '@kata-agent/base';
import { evaluateTrust, type Trust } from '@kata-agent/audit';
import type { Management } from '@kata-agent/protocol/management';
import {
  checkConsistency,
  type ConsistencyProof,
  type LogVerifier,
  NoteSignatureError,
  parseAgentLogCheckpoint,
  ProofError,
  TextFormError,
  type TreeHash,
  treeHashOfBytes,
  type UnverifiedCheckpoint,
  verifyCheckpoint,
  type WitnessVerifier,
} from '@kata-agent/tlog';
import { type Client, Code, TtrpcError } from '@kata-agent/ttrpc';
import type { GuestLogs } from '../store/guest-logs.js';
import type { TreeLogs } from './collected-tree.js';

/** A checkpoint that agrees with what was collected. */
export interface AgreedCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** The sequence number of its last record. */
  readonly last: number;
  readonly trust: Trust;
  /** The number of records in the newest checkpoint that witnesses have cosigned, if they are demanded; 0: none. */
  readonly cosigned: number;
  /** Fewer witnesses than are demanded have cosigned, or none for some time. */
  readonly problem: string | undefined;
}

export interface CheckpointOptions {
  /** Between two times that the agent is asked, in ms. */
  readonly everyMs: number;
  readonly witnesses: readonly WitnessVerifier[];
  readonly quorum: number;
}

export interface CheckpointWatchOptions extends CheckpointOptions {
  readonly management: Pick<Client<typeof Management>, 'getCheckpoint'>;
  readonly logs: GuestLogs;
  readonly tree: TreeLogs;
  readonly onAgreed: (agreed: AgreedCheckpoint) => void;
  readonly signal: AbortSignal;
}

const answerMs = 10_000;
/** As long an agent must have sent nothing for its records to count as withheld. */
const idleMs = 5_000;
/** At the end, for the last checkpoint and its records. */
const lastMs = 3_000;

/** An older checkpoint that witnesses have cosigned, and the proof that the newer one has all of its records. */
interface Cosigned {
  readonly checkpoint: UnverifiedCheckpoint;
  readonly text: string;
  readonly proof: ConsistencyProof;
}

interface Pending {
  readonly checkpoint: UnverifiedCheckpoint;
  readonly text: string;
  readonly first: number;
  readonly since: number;
  readonly cosigned: Cosigned | undefined;
}

/**
 * Asks an agent for checkpoints of its log in one connection, and compares each with the records that it has sent. One that does
 * not agree is a fork: the agent, or who has its key, keeps another log than the one that it sends.
 */
export class CheckpointWatch {
  readonly #options: CheckpointWatchOptions;
  #pending: Pending | undefined;
  #timer: NodeJS.Timeout | undefined;
  #compared: (() => void) | undefined;
  #isServed = true;
  /** Records of the last checkpoints that agreed, of one log: what witnesses have cosigned may be so far behind. */
  #sizes: { readonly origin: string; readonly last: number; readonly before: number } | undefined;
  readonly #asks = new Semaphore(1);

  constructor(options: CheckpointWatchOptions) {
    this.#options = options;
  }

  /** Asks for the first checkpoint, and from then on regularly. Resolves with false if the agent does not serve them here. */
  async start(): Promise<boolean> {
    await this.#ask();
    if (this.#isServed) this.#schedule();
    return this.#isServed;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#options.tree.keepsLeaves = false;
  }

  /** Is called when the tree has grown. */
  async compare(): Promise<void> {
    const pending = this.#pending;
    const known = this.#options.tree.tree;
    if (pending === undefined || known === undefined) return;
    const result = known.compare(pending.checkpoint, pending.first);
    if (result.kind === 'later' || result.kind === 'unknown') return;
    this.#settle();
    try {
      if (result.kind === 'differs') await this.#fork(result.last, result.what, pending.checkpoint);
      else await this.#agree(pending, result.last, known.key);
    } finally {
      this.#compared?.();
    }
  }

  async #agree(pending: Pending, last: number, key: LogVerifier | undefined): Promise<void> {
    const { checkpoint, text, cosigned } = pending;
    const { tree, logs, witnesses, quorum, onAgreed } = this.#options;
    const keys = { logs: key === undefined ? [] : [key], witnesses };
    const { origin, head } = checkpoint;
    try {
      verifyCheckpoint(checkpoint, keys);
      let count = 0;
      if (cosigned !== undefined) {
        count = verifyCheckpoint(cosigned.checkpoint, keys).witnesses.length;
        checkConsistency(cosigned.checkpoint.head, head, cosigned.proof);
      }
      await logs.putBeside('checkpoint', cosigned?.text ?? text);
      await tree.save();
      const { trust, problem } = evaluateTrust(count, { key: undefined, witnesses, quorum }, head);
      const size = cosigned?.checkpoint.head.size ?? 0;
      const late = this.#late(origin, head.size, size);
      onAgreed({
        origin,
        size: head.size,
        last,
        trust,
        cosigned: size,
        problem: witnesses.length === 0 ? undefined : (problem ?? late),
      });
    } catch (error) {
      if (!(error instanceof NoteSignatureError || error instanceof ProofError)) throw error;
      await this.#fork(last, error.message, checkpoint);
    }
  }

  /** Returns what is wrong with a cosigned checkpoint that is older than two that were asked for. */
  #late(origin: string, size: number, cosigned: number): string | undefined {
    const before = this.#sizes?.origin === origin ? this.#sizes : undefined;
    this.#sizes = { origin, last: size, before: before?.last ?? 0 };
    if (before === undefined || cosigned >= before.before) return undefined;
    return `the newest cosigned checkpoint has ${cosigned} records, and ${before.before} were there two checkpoints ago`;
  }

  /** Asks for a last checkpoint, and waits for a short time until it is compared. */
  async finish(): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#isServed) return;
    const late = new Promise<void>((resolve) => {
      this.#timer = setTimeout(resolve, lastMs);
    });
    const work = async (): Promise<void> => {
      await this.#ask();
      await this.compare();
      if (this.#pending === undefined) return;
      await new Promise<void>((resolve) => {
        this.#compared = resolve;
      });
    };
    await Promise.race([work().catch(() => undefined), late]);
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => void this.#tick(), this.#options.everyMs);
  }

  async #tick(): Promise<void> {
    const { signal } = this.#options;
    try {
      await this.#checkWithheld();
      if (this.#pending === undefined) await this.#ask();
      await this.compare();
    } catch {
      // The store cannot be used: the records will say so.
    }
    if (!signal.aborted && this.#isServed) this.#schedule();
  }

  /** One after another: an answer is of a checkpoint that was asked for after `fold`. */
  async #ask(): Promise<void> {
    await this.#asks.run(() => this.#askOnce());
  }

  async #askOnce(): Promise<void> {
    const { management, signal, tree } = this.#options;
    this.#pending = undefined;
    tree.tree?.fold();
    tree.keepsLeaves = true;
    try {
      const options = { signal, timeoutMs: answerMs };
      const answer = await management.getCheckpoint({}, options);
      const cosigned =
        this.#options.witnesses.length === 0 || answer.cosigned.length === 0
          ? undefined
          : parseAgentLogCheckpoint(answer.cosigned);
      const proven =
        cosigned === undefined
          ? undefined
          : await management.getCheckpoint({ oldSize: BigInt(cosigned.head.size) }, options);
      const { checkpoint: bytes, first, consistency } = proven ?? answer;
      const proof = consistency.map(hashOf);
      this.#pending = {
        checkpoint: parseAgentLogCheckpoint(bytes),
        text: Buffer.from(bytes).toString(),
        first: Number(first),
        since: performance.now(),
        cosigned: cosigned && { checkpoint: cosigned, text: Buffer.from(answer.cosigned).toString(), proof },
      };
    } catch (error) {
      tree.keepsLeaves = false;
      const { logs } = this.#options;
      if (error instanceof TextFormError)
        await logs.report({ kind: 'fork', sequence: 0, what: error.message });
      else if (!(error instanceof TtrpcError)) throw error;
      else if (error.code === Code.Unimplemented || error.code === Code.PermissionDenied)
        this.#isServed = false;
      else if (error.code === Code.OutOfRange)
        await logs.report({
          kind: 'fork',
          sequence: 0,
          what: 'the agent says that its log has fewer records than a checkpoint that it gives',
        });
    }
  }

  /** Reports an agent that has signed records which it does not send. */
  async #checkWithheld(): Promise<void> {
    const pending = this.#pending;
    const { tree, logs, everyMs } = this.#options;
    const known = tree.tree;
    if (pending === undefined || known === undefined || logs.log.state === 'failed') return;
    if (performance.now() - pending.since < everyMs || tree.idleMs < Math.min(idleMs, everyMs / 2)) return;
    const { checkpoint } = pending;
    this.#settle();
    const what =
      known.key?.name === checkpoint.origin
        ? `its records were not sent after record ${known.last.sequence}`
        : `it is of ${checkpoint.origin}, whose records are not sent`;
    await this.#fork(known.last.sequence, what, checkpoint);
  }

  #settle(): void {
    this.#pending = undefined;
    this.#options.tree.keepsLeaves = false;
  }

  async #fork(sequence: number, what: string, { head }: UnverifiedCheckpoint): Promise<void> {
    const text = `a checkpoint of ${head.size} records does not agree: ${what}`;
    await this.#options.logs.report({ kind: 'fork', sequence, what: text });
  }
}

function hashOf(bytes: Uint8Array): TreeHash {
  const hash = treeHashOfBytes(bytes);
  if (hash === undefined) throw new TextFormError(`a hash of a proof has ${bytes.length} bytes`);
  return hash;
}
