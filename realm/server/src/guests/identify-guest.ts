import type { Channel } from '@kata-agent/ttrpc';
import { type AttestedConnection, attestGuest, type EvidenceDemand } from './attest-guest.js';
import { describeGuest } from './describe-guest.js';
import type { GuestDescription } from '../guest.js';

/** How a realm knows its guests. */
export interface IdentityDemand {
  /** Undefined: guests are not asked for evidence. */
  readonly evidence: EvidenceDemand | undefined;
  /** Whether guests without verified evidence can be accepted. */
  readonly allowUnattested: boolean;
}

/** What a realm knows of a guest before it decides about it. */
export interface Identified {
  readonly attested: boolean;
  /** Of the claims that evidence binds, or of Describe, then unverified. */
  readonly described: GuestDescription | undefined;
  /** For records: `attested by tpm`, or `unattested` and why. */
  readonly how: string;
  /** `sha256` of the demand that it was attested by. */
  readonly by?: string;
  /** The key of its audit log, as evidence binds it. */
  readonly logKey?: string;
}

/** The evidence of a guest is not verified, and the realm demands it. */
export class UnattestedError extends Error {
  override readonly name = 'UnattestedError';
}

/**
 * Asks a guest who it is: for evidence before anything else, and for its own description only if it may be unattested. Throws an
 * UnattestedError with the link that broke, a TtrpcError, or an Error if an answer cannot be one of an agent.
 */
export async function identifyGuest(
  channel: Channel,
  connection: AttestedConnection,
  { evidence, allowUnattested }: IdentityDemand,
  timeoutMs: number,
): Promise<Identified> {
  let how = 'unattested';
  if (evidence !== undefined) {
    const attestation = await attestGuest(channel, connection, evidence, timeoutMs);
    if (attestation.ok) {
      const { described, kinds, logKey } = attestation;
      return { attested: true, described, how: `attested by ${kinds}`, by: evidence.sha256, logKey };
    }
    how = `unattested, since ${attestation.reason}`;
    if (!allowUnattested) throw new UnattestedError(attestation.reason);
  }
  return { attested: false, described: await describeGuest(channel, timeoutMs), how };
}
