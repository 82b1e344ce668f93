import { join } from 'node:path';
import { onDoublingsOfEach } from '@kata-agent/base';
import type { LiveGuests } from '../guests/live-guests.js';
import { WitnessRequests } from '../guests/witness-requests.js';
import type { Store } from '../store/store.js';
import { Witness } from '../witness/witness.js';
import { WitnessStates } from '../witness/witness-states.js';
import type { DecisionLog } from '../operators/decision-log.js';
import type { Metrics } from '../metrics/metrics.js';
import { readWitnessKey } from './read-witness-key.js';
import type { RealmLog } from '../log/realm-log.js';
import type { RealmOptions } from './realm-options.js';

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
