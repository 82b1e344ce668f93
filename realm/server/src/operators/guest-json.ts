import { operatorVerbs } from '@kata-agent/catalogue';
import type { Operator } from '../authorization/operator.js';
import type { AnyGuest } from '../guest.js';
import type { CollectedLog, LogState } from '../store/collected-log.js';

/** A guest in answers to operators. */
export interface GuestJson {
  readonly name: string;
  readonly id: string;
  readonly attested: boolean;
  readonly relay: string;
  readonly version: string | null;
  readonly boot_id: string | null;
  readonly configuration_digest: string | null;
  /** RFC 3339. */
  readonly connected_at: string;
  readonly log: {
    readonly state: LogState;
    readonly records: number;
    readonly last: number;
    /** No record has come for three heartbeats. */
    readonly silent: boolean;
  } | null;
  /** What the asking operator may do with it. */
  readonly verbs: readonly string[];
}

export function guestJson(guest: AnyGuest, log: CollectedLog | undefined, operator: Operator): GuestJson {
  const { name, id, attested, relay, described, connectedAt } = guest;
  return {
    name,
    id,
    attested,
    relay,
    version: described?.version ?? null,
    boot_id: described?.bootId ?? null,
    configuration_digest: described?.configurationDigest ?? null,
    connected_at: new Date(connectedAt).toISOString(),
    log:
      log === undefined
        ? null
        : {
            state: log.state,
            records: log.records,
            last: log.lastSequence,
            silent: log.isSilent === true,
          },
    verbs: operatorVerbs.filter((verb) => operator.may(verb, guest)),
  };
}
