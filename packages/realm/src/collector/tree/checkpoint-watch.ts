import { judgeTrust, type Trust } from '@kata-agent/audit';
import type { Management } from '@kata-agent/protocol/management';
import {
  type LogVerifier,
  NoteSignatureError,
  parseAgentLogCheckpoint,
  TextFormError,
  type UnverifiedCheckpoint,
  verifyCheckpoint,
  type WitnessVerifier,
} from '@kata-agent/tlog';
import { type Client, Code, TtrpcError } from '@kata-agent/ttrpc';
import type { GuestLogs } from '../../store/guest-logs.js';
import type { TreeLogs } from './tree-logs.js';

/** A checkpoint that agrees with what was collected. */
export interface AgreedCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** The sequence number of its last record. */
  readonly last: number;
  readonly trust: Trust;
  /** Fewer witnesses than are demanded have cosigned it. */
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

interface Pending {
  readonly checkpoint: UnverifiedCheckpoint;
  readonly text: string;
  readonly first: number;
  readonly since: number;
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
  #asking: Promise<void> = Promise.resolve();

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

  async #agree({ checkpoint, text }: Pending, last: number, key: LogVerifier | undefined): Promise<void> {
    const { tree, logs, witnesses, quorum, onAgreed } = this.#options;
    try {
      const verified = verifyCheckpoint(checkpoint, { logs: key === undefined ? [] : [key], witnesses });
      await logs.putBeside('checkpoint', text);
      await tree.save();
      const { trust, problem } = judgeTrust(verified.witnesses.length, { key: undefined, witnesses, quorum });
      const { origin, head } = checkpoint;
      onAgreed({
        origin,
        size: head.size,
        last,
        trust,
        problem: witnesses.length === 0 ? undefined : problem,
      });
    } catch (error) {
      if (!(error instanceof NoteSignatureError)) throw error;
      await this.#fork(last, error.message, checkpoint);
    }
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
    const asking = this.#asking.then(() => this.#askOnce());
    this.#asking = asking.catch(() => undefined);
    await asking;
  }

  async #askOnce(): Promise<void> {
    const { management, signal, tree } = this.#options;
    this.#pending = undefined;
    tree.tree?.fold();
    tree.keepsLeaves = true;
    try {
      const { checkpoint: bytes, first } = await management.getCheckpoint(
        {},
        { signal, timeoutMs: answerMs },
      );
      const text = Buffer.from(bytes).toString();
      const checkpoint = parseAgentLogCheckpoint(bytes);
      this.#pending = { checkpoint, text, first: Number(first), since: performance.now() };
    } catch (error) {
      tree.keepsLeaves = false;
      if (error instanceof TextFormError) await this.#options.logs.report({ kind: 'fork', sequence: 0, what: error.message });
      else if (!(error instanceof TtrpcError)) throw error;
      else if (error.code === Code.Unimplemented || error.code === Code.PermissionDenied)
        this.#isServed = false;
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
    await this.#options.logs.noteFork(
      sequence,
      `a checkpoint of ${head.size} records does not agree: ${what}`,
    );
  }
}
