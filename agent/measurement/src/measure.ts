import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '@kata-agent/base';
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
import { writeEventLog } from './event-log.js';

const stateFile = 'state.json';

export interface Measurement {
  /** The data of the event whose digest is extended. */
  readonly event: Uint8Array;
  /** A short description of the data: a digest. */
  readonly subject: string;
  readonly registers: readonly { readonly register: Register; readonly need: 'try' | 'require' }[];
}

/** Where the boot record and the event logs are stored: a directory that does not survive a reboot. */
export interface MeasurementPlace {
  readonly directory: string;
  readonly bootId: string;
}

/** The result for one register. `before`: an earlier start in this boot extended it. */
export interface RegisterReport {
  readonly register: string;
  readonly outcome: 'extended' | 'extended before' | 'failed';
  /** The extended digests, by bank. */
  readonly digests?: Banks;
  readonly reason?: string;
}

/**
 * Extends an event into registers, once per boot however often the agent starts (S7), and writes the event logs.
 *
 * @throws MeasurementError when a required register fails, or when this boot has measured something else: a register
 * must not attest one configuration while another is in force (docs/adr/measurement.md, "One event per boot").
 */
export async function measure(
  { event, subject, registers }: Measurement,
  { directory, bootId }: MeasurementPlace,
): Promise<readonly RegisterReport[]> {
  const text = Buffer.from(event).toString('base64');
  const earlier = readMeasuredBoot(directory, bootId);
  let state: MeasuredBoot =
    earlier !== undefined && earlier.extends.length > 0
      ? earlier
      : { bootId, event: text, subject, extends: [] };
  if (state.event !== text) {
    throw new MeasurementError(
      `this boot was measured with ${state.subject}, and the configuration is now ${subject}: start the guest again`,
    );
  }
  const save: Save = (register, entry) => {
    const others = state.extends.filter((one) => one.register !== register);
    state = { ...state, extends: entry === undefined ? others : [...others, entry] };
    writeMeasuredBoot(directory, state);
  };
  const reports: RegisterReport[] = [];
  for (const { register, need } of registers) {
    const known = state.extends.find((entry) => entry.register === register.name);
    try {
      reports.push(await extendOnce(register, event, known, save));
    } catch (error) {
      if (!(error instanceof MeasurementError)) throw error;
      if (need === 'require') {
        const message = `the configuration could not be measured into ${register.name}, which is required: ${error.message}`;
        throw new MeasurementError(message, { cause: error });
      }
      reports.push({ register: register.name, outcome: 'failed', reason: error.message });
    }
  }
  writeEventLogs(
    state,
    event,
    registers.map(({ register }) => register),
    directory,
  );
  return reports;
}

/** Records an extend of a register; undefined records that it did not happen. */
type Save = (register: string, entry: Extend | undefined) => void;

async function extendOnce(
  register: Register,
  event: Uint8Array,
  known: Extend | undefined,
  save: Save,
): Promise<RegisterReport> {
  const { name } = register;
  if (known?.done === true) return { register: name, outcome: 'extended before', digests: known.digests };
  const now = await register.read();
  if (known !== undefined && sameBanks(now, extended(known.before, known.digests))) {
    save(name, { ...known, done: true });
    return { register: name, outcome: 'extended before', digests: known.digests };
  }
  if (known !== undefined && !sameBanks(now, known.before)) {
    throw new MeasurementError(
      `${name} was extended by another program during the measurement: it is unknown whether it contains the configuration`,
    );
  }
  const digests = digestsFor(Object.keys(now), event);
  const entry = { register: name, before: now, digests, done: false };
  save(name, entry);
  await register.extend(digests).catch(async (error: unknown) => {
    if (sameBanks(await register.read(), now)) save(name, undefined);
    throw error;
  });
  if (!sameBanks(await register.read(), extended(now, digests))) {
    throw new MeasurementError(`${name} does not have the extended value`);
  }
  save(name, { ...entry, done: true });
  return { register: name, outcome: 'extended', digests };
}

/** Writes one log per kind of register that was extended: TPM logs and TDX logs have different verifiers. */
function writeEventLogs(
  state: MeasuredBoot,
  event: Uint8Array,
  registers: readonly Register[],
  directory: string,
): void {
  for (const { name, kind, index } of registers) {
    const entry = state.extends.find(({ register, done }) => done && register === name);
    if (entry === undefined) continue;
    writeMeasured(
      join(directory, `${kind}-event-log`),
      writeEventLog([{ index, digests: entry.digests, event }]),
    );
  }
}

/** An extend of one register. Written before the extend, so that a start after a crash can tell whether it happened. */
interface Extend {
  readonly register: string;
  readonly before: Banks;
  readonly digests: Banks;
  /** The extend is known to have happened. */
  readonly done: boolean;
}

/** What was measured since boot. */
interface MeasuredBoot {
  readonly bootId: string;
  /** The event's data, in base64. */
  readonly event: string;
  /** A description of what was measured. */
  readonly subject: string;
  readonly extends: readonly Extend[];
}

/**
 * Returns what this boot has measured, or undefined for nothing yet. A file of an earlier boot is ignored, because a
 * reboot resets the registers. Throws a MeasurementError for an unreadable file, since a register might be extended
 * twice.
 */
function readMeasuredBoot(directory: string, bootId: string): MeasuredBoot | undefined {
  const path = join(directory, stateFile);
  try {
    const state = JSON.parse(readFileSync(path, 'utf8')) as MeasuredBoot;
    return state.bootId === bootId ? state : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    const message = `${path} is not a readable boot record: ${reasonOf(error)}: start the guest again`;
    throw new MeasurementError(message, { cause: error });
  }
}

function writeMeasuredBoot(directory: string, state: MeasuredBoot): void {
  writeMeasured(join(directory, stateFile), Buffer.from(`${JSON.stringify(state, undefined, 2)}\n`));
}

/** Replaces a file of measurements. Throws a MeasurementError. */
export function writeMeasured(path: string, bytes: Uint8Array): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    replaceFile(path, bytes, { mode: 0o644, survives: 'machine' });
  } catch (error) {
    throw new MeasurementError(`${path} cannot be written: ${reasonOf(error)}`, { cause: error });
  }
}
