import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { onDoublingsOfEach } from '@kata-agent/base';
import { parseWitnessKey, TextFormError, type WitnessSigner } from '@kata-agent/tlog';
import type { LiveGuests } from '../guests/live-guests.js';
import { WitnessRequests } from '../guests/witness-requests.js';
import type { Store } from '../store/store.js';
import { Witness } from '../witness/witness.js';
import { WitnessStates } from '../witness/witness-states.js';
import type { DecisionLog } from '../operators/decision-log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { RealmLog } from '../realm-log.js';
import { RealmFileError } from './read-files.js';
import type { RealmOptions } from './realm-options.js';

const maxBytes = 4_096;

/** A witness, and its verifier as text: the value of `[[audit.witness]] key`. */
export interface OpenedWitness {
  readonly witness: Witness;
  readonly verifier: string;
}

/**
 * Opens the witness of a realm in its store; undefined: it is not one. Throws a
 * RealmFileError or the system's error.
 */
export async function openWitness(
  { store: directory, files }: Pick<RealmOptions, 'store' | 'files'>,
  parts: { readonly live: LiveGuests; readonly store: Store; readonly decisions: DecisionLog },
): Promise<OpenedWitness | undefined> {
  if (files.witnessKey === undefined) return undefined;
  const signer = await readWitnessKey(files.witnessKey);
  const { live, store, decisions } = parts;
  const witness = new Witness({
    signer,
    states: await WitnessStates.open(join(directory, 'witness')),
    logsOf: (id) => (live.own(id) === undefined ? undefined : store.logsOf(id)),
    onFork: (id, what) => decisions.note('guests', `guest ${id}`, '(fork)', what, 'FAILED_PRECONDITION'),
  });
  return { witness, verifier: signer.verifier.toString() };
}

/** Answers requests to the witness, counts them, and logs the first, second, fourth … refusal of each guest and status. */
export function witnessRequests(
  witness: Witness | undefined,
  { live, metrics, log }: { readonly live: LiveGuests; readonly metrics: Metrics; readonly log: RealmLog },
): WitnessRequests {
  const report = onDoublingsOfEach<{ readonly id: string; readonly status: number; readonly why: string }>(
    (_key, times, { id, status, why }) =>
      log('warn', 'a checkpoint of a guest was not cosigned', {
        guest: live.own(id)?.name,
        id,
        status,
        why,
        times,
      }),
  );
  return new WitnessRequests({
    addCheckpoint: witness === undefined ? undefined : (id, body) => witness.addCheckpoint(id, body),
    isConnected: (id) => live.own(id) !== undefined,
    onAnswer: (id, status, why) => {
      metrics.add('kata_realm_witness_requests_total', 1, { status: String(status) });
      if (why === undefined) return;
      // An unknown guest can come with a new key each time.
      report(live.own(id) === undefined ? 'unknown guests' : `${id} ${status}`, { id, status, why });
    },
  });
}

/** Reads the private key of a witness: one line. Throws a RealmFileError, also if others can read the file. */
async function readWitnessKey(path: string): Promise<WitnessSigner> {
  const help = ['make a key: kata-realm witness-key --name HOST/NAME --out FILE'];
  const { text, mode } = await contentOf(path).catch((error: Error) => {
    throw new RealmFileError('unreadable', `--witness-key: cannot read ${path}: ${error.message}`, { help });
  });
  if ((mode & 0o077) !== 0)
    throw new RealmFileError(
      'invalid',
      `--witness-key ${path} is open to other users: its mode is ${(mode & 0o777).toString(8)}`,
      { help: [`chmod 600 ${path}; if others could have read it, make another key`] },
    );
  try {
    return parseWitnessKey(text.replace(/\n$/, ''));
  } catch (error) {
    if (!(error instanceof TextFormError)) throw error;
    throw new RealmFileError('invalid', `--witness-key ${path}: ${error.message}`, { help });
  }
}

async function contentOf(path: string): Promise<{ readonly text: string; readonly mode: number }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { mode } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return { text: buffer.toString('latin1', 0, bytesRead), mode };
  } finally {
    await file.close();
  }
}
