import { closeSync, ftruncateSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Semaphore } from '@kata-agent/base';
import { hasCode } from '@kata-agent/linux';
import {
  type Banks,
  digestsFor,
  extended,
  MeasurementError,
  reasonOf,
  type Register,
  sameBanks,
} from './register.js';
import { emptyEventLog, eventLogEntry } from './event-log.js';
import { writeMeasured } from './measure.js';

/** What a boot has extended into the register. Written before an extend, so that a start after a crash can finish it. */
interface State {
  readonly bootId: string;
  readonly register: string;
  /** The register's value after the events in the log. */
  readonly value: Banks;
  /** Bytes of the log that have these events. */
  readonly bytes: number;
  /** An event that is being extended. */
  readonly pending?: { readonly digests: Banks; readonly event: string };
}

/**
 * A register that takes one event after another, and the log of them: `NAME-event-log`, which starts at the value that the register
 * had. It continues over starts of the agent in one boot. The register is this log's alone: events of others would make its value
 * inexplicable.
 */
export class RegisterLog {
  readonly #register: Register;
  readonly #path: string;
  #state: State;
  readonly #extends = new Semaphore(1);

  private constructor(register: Register, path: string, state: State) {
    this.#register = register;
    this.#path = path;
    this.#state = state;
  }

  /** Throws a MeasurementError, also if another program has extended the register. */
  static async open(
    register: Register,
    place: { readonly directory: string; readonly bootId: string; readonly name: string },
  ): Promise<RegisterLog> {
    const path = join(place.directory, `${place.name}-event-log`);
    const now = await register.read();
    const known = readState(path);
    if (known === undefined || known.bootId !== place.bootId || known.register !== register.name) {
      const empty = emptyEventLog(Object.keys(now));
      writeMeasured(path, empty);
      const log = new RegisterLog(register, path, {
        bootId: place.bootId,
        register: register.name,
        value: now,
        bytes: empty.length,
      });
      log.#save(log.#state);
      return log;
    }
    const log = new RegisterLog(register, path, known);
    log.#finish(now);
    return log;
  }

  /** Extends an event and logs it, one after the other in the order of the calls. Throws a MeasurementError. */
  async extend(event: Uint8Array): Promise<void> {
    await this.#extends.run(() => this.#extend(event));
  }

  async #extend(event: Uint8Array): Promise<void> {
    if (this.#state.pending !== undefined) this.#finish(await this.#register.read());
    const { value } = this.#state;
    const digests = digestsFor(Object.keys(value), event);
    this.#save({ ...this.#state, pending: { digests, event: Buffer.from(event).toString('base64') } });
    await this.#register.extend(digests);
    this.#finish(await this.#register.read());
    if (!sameBanks(this.#state.value, extended(value, digests)))
      throw new MeasurementError(`${this.#register.name} does not have the extended value`);
  }

  /** Decides by the register's value whether the pending event was extended. */
  #finish(now: Banks): void {
    const { pending, ...rest } = this.#state;
    if (sameBanks(now, rest.value)) {
      if (pending !== undefined) this.#save(rest);
      return;
    }
    if (pending === undefined || !sameBanks(now, extended(rest.value, pending.digests)))
      throw new MeasurementError(
        `${this.#register.name} was extended by another program: use a register that nothing else extends`,
      );
    const { digests } = pending;
    const event = Buffer.from(pending.event, 'base64');
    const entry = eventLogEntry({ index: this.#register.index, digests, event });
    appendAt(this.#path, rest.bytes, entry);
    this.#save({ ...rest, value: now, bytes: rest.bytes + entry.length });
  }

  #save(state: State): void {
    writeMeasured(`${this.#path}.state`, Buffer.from(`${JSON.stringify(state)}\n`));
    this.#state = state;
  }
}

function readState(path: string): State | undefined {
  try {
    return JSON.parse(readFileSync(`${path}.state`, 'utf8')) as State;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    const message = `${path}.state cannot be read: ${reasonOf(error)}: start the guest again`;
    throw new MeasurementError(message, { cause: error });
  }
}

/** Writes at a position, and removes what an interrupted write has left behind it. */
function appendAt(path: string, position: number, bytes: Uint8Array): void {
  try {
    const descriptor = openSync(path, 'r+');
    try {
      ftruncateSync(descriptor, position);
      const written = writeSync(descriptor, bytes, 0, bytes.length, position);
      if (written !== bytes.length) throw new Error(`${written} of ${bytes.length} bytes were written`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw new MeasurementError(`${path} cannot be written: ${reasonOf(error)}`, { cause: error });
  }
}
