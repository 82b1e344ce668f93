import { createHash } from 'node:crypto';
import { Semaphore } from '@kata-agent/base';
import {
  type AddCheckpointDecision,
  type AddCheckpointRequest,
  addCheckpointAnswer,
  type Checkpoint,
  decideAddCheckpoint,
  formatCheckpoint,
  type HttpAnswer,
  NoteSignatureError,
  parseAddCheckpoint,
  TextFormError,
  verifyCheckpoint,
  type WitnessSigner,
} from '@kata-agent/tlog';
import type { GuestLogs } from '../store/guest-logs.js';
import type { LogIdentity } from '../store/stored-tree.js';
import { ComparedLog, type Contradiction, type SignedHead } from './compared-log.js';
import type { HeldState, WitnessStates } from './witness-states.js';

/** Logs that are read at once. */
const readsAtOnce = 2;
/** Logs whose guest is remembered, the last ones. */
const maxOwners = 65_536;

export interface WitnessOptions {
  readonly signer: WitnessSigner;
  readonly states: WitnessStates;
  /** Returns the logs of a guest that is accepted and connected. */
  readonly logsOf: (id: string) => GuestLogs | undefined;
  /** A log has forked. It is noted beside the log already. */
  readonly onFork: (id: string, what: string) => void;
  /** Milliseconds of the epoch. */
  readonly now?: () => number;
}

/**
 * A witness of the logs of a realm's guests (C2SP tlog-witness). It knows the origin that the boot record of the asking guest names,
 * and no other. What it knows more than other witnesses: the records, with which it compares each checkpoint.
 */
export class Witness {
  readonly #options: WitnessOptions;
  readonly #reads = new Semaphore(readsAtOnce);
  readonly #logs = new WeakMap<GuestLogs, ComparedLog>();
  /** The guest that has sent the boot record of an origin, in this process. */
  readonly #owners = new Map<string, string>();

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  /** Returns the answer to add-checkpoint. Throws a StoreError or the system's error: then nothing is cosigned. */
  async addCheckpoint(id: string, body: Uint8Array): Promise<HttpAnswer> {
    return addCheckpointAnswer(await this.#decide(id, body));
  }

  /** Compares what waits for records that are stored now. Throws the system's error. */
  async recordsStored(id: string): Promise<void> {
    const logs = this.#options.logsOf(id);
    if (logs !== undefined) await this.#logOf(logs).recordsStored();
  }

  /** Resolves when nothing is being stored any more. Nothing is cosigned after it. */
  async close(): Promise<void> {
    await this.#options.states.close();
  }

  async #decide(id: string, body: Uint8Array): Promise<AddCheckpointDecision> {
    let request: AddCheckpointRequest;
    try {
      request = parseAddCheckpoint(body);
    } catch (error) {
      if (error instanceof TextFormError) return { status: 400, reason: error.message };
      throw error;
    }
    const logs = this.#options.logsOf(id);
    if (logs === undefined) return unknown('the guest is not connected');
    const log = this.#logOf(logs);
    const identity = await log.identity();
    if (identity === undefined) return unknown(whyUnknown(logs));
    const { origin } = request.checkpoint;
    const { key } = identity;
    if (key.name !== origin)
      return unknown(`the log of this guest is ${key.name}, and the request is of another`);
    let checkpoint: Checkpoint;
    try {
      checkpoint = verifyCheckpoint(request.checkpoint, { logs: [key], witnesses: [] });
    } catch (error) {
      if (error instanceof NoteSignatureError) return { status: 403, reason: error.message };
      throw error;
    }
    const head = { ...checkpoint.head, note: formatCheckpoint(checkpoint) };
    await log.compare(head);
    return await this.#options.states.with(origin, (state) =>
      this.#cosign(state, { logs, log, identity, request, head }),
    );
  }

  async #cosign(
    state: HeldState,
    asked: {
      readonly logs: GuestLogs;
      readonly log: ComparedLog;
      readonly identity: LogIdentity;
      readonly request: AddCheckpointRequest;
      readonly head: SignedHead;
    },
  ): Promise<AddCheckpointDecision> {
    const { logs, log, identity, request, head } = asked;
    const { latest } = state;
    if (state.fork === undefined && latest?.size === head.size && latest.root !== head.root) {
      const notes = [state.checkpoint ?? '', head.note] as const;
      await this.#contradiction(logs, { size: head.size, notes }, identity, state);
    }
    const { contradiction } = logs;
    if (contradiction !== undefined) return forked(contradiction.what);
    if (state.fork !== undefined) {
      // Of an earlier process, or of another guest with the same key.
      const what = 'its key has signed two trees of one size';
      await this.#report(logs, identity.first, what, state.fork);
      return forked(what);
    }
    const { signer, now = Date.now } = this.#options;
    const decision = decideAddCheckpoint(
      request,
      { keys: [identity.key], latest },
      { signer, now: Math.floor(now() / 1_000) },
    );
    if (decision.status !== 200) return decision;
    // It could not be kept, and so never be compared.
    if (log.isFull) return unknown('too many of its cosigned checkpoints wait for its records: ask again');
    log.keep(head);
    await state.cosigned(decision.checkpoint);
    return decision;
  }

  #logOf(logs: GuestLogs): ComparedLog {
    const { states } = this.#options;
    const known = this.#logs.get(logs);
    if (known !== undefined) return known;
    const log = new ComparedLog({
      logs,
      reads: this.#reads,
      onDifference: ({ size, note }, { first }) => {
        const what = `its checkpoint of ${size} records is not of the records that it has sent`;
        return this.#report(logs, first + size - 1, what, note);
      },
      onContradiction: (found, identity) =>
        states.with(identity.key.name, (state) => this.#contradiction(logs, found, identity, state)),
      onSame: ({ key }) => this.#persistOwner(key.name, logs.id),
      before: async ({ key, first }) => {
        const head = await states.with(key.name, async ({ latest, checkpoint }) =>
          latest === undefined || checkpoint === undefined ? undefined : { ...latest, note: checkpoint },
        );
        // After a restart the first to come may be a guest that only names the key: the records decide, which were cosigned.
        if (head === undefined || this.#owners.has(key.name)) await this.#noteOwner(logs, key.name, first);
        return head;
      },
    });
    this.#logs.set(logs, log);
    return log;
  }

  /**
   * Reports a guest whose boot record names the log of another one: its machine was cloned before the key of its TLS was made, or it
   * lies. Nothing of it is refused for that: only the owner of the key can sign anything new.
   */
  async #noteOwner(logs: GuestLogs, origin: string, sequence: number): Promise<void> {
    const owner = this.#owners.get(origin);
    if (owner === undefined) this.#persistOwner(origin, logs.id);
    else if (owner !== logs.id)
      await logs.report({
        kind: 'clone',
        sequence,
        what: `its log has the key of the log of guest ${owner}`,
      });
  }

  #persistOwner(origin: string, id: string): void {
    if (this.#owners.has(origin)) return;
    this.#owners.set(origin, id);
    const [oldest] = this.#owners.keys();
    if (this.#owners.size > maxOwners && oldest !== undefined) this.#owners.delete(oldest);
  }

  async #contradiction(
    logs: GuestLogs,
    { size, notes }: Contradiction,
    { first }: LogIdentity,
    state: HeldState,
  ): Promise<void> {
    const what = `its key has signed two different trees of ${size} records`;
    try {
      if (state.fork === undefined) await state.forked(notes.join('\n'));
    } finally {
      await this.#report(logs, first + size - 1, what, notes[1]);
    }
  }

  async #report(logs: GuestLogs, sequence: number, what: string, note: string): Promise<void> {
    this.#options.onFork(logs.id, what);
    const sha256 = createHash('sha256').update(note).digest('hex');
    await logs.report({ kind: 'fork', sequence, what, sha256, line: note });
  }
}

function unknown(reason: string): AddCheckpointDecision {
  return { status: 404, reason };
}

function forked(what: string): AddCheckpointDecision {
  return { status: 422, reason: `the log has forked: ${what}` };
}

function whyUnknown({ log }: GuestLogs): string {
  switch (log.state) {
    case 'not-served':
      return 'its listener does not serve WatchAudit, by which the realm learns the key of its log: name it in management';
    case 'none':
      return 'no record of the guest has arrived yet: ask again';
    case 'full':
    case 'failed':
      return 'the realm cannot store its records';
    default:
      return "none of the guest's records that have arrived is the boot record that names the keys of its log and its TLS: ask again, unless rotation has removed it";
  }
}
