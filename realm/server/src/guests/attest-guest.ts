import { randomBytes } from 'node:crypto';
import {
  type Collateral,
  EvidenceFormError,
  parseBundle,
  type ReferenceValues,
  type Verification,
  verifyEvidence,
} from '@kata-agent/evidence';
import { Management } from '@kata-agent/protocol/management';
import { type Channel, Code, createClient, TtrpcError } from '@kata-agent/ttrpc';
import type { GuestDescription } from '../guest.js';

/** What a realm accepts as evidence. */
export interface EvidenceDemand {
  readonly values: ReferenceValues;
  readonly collateral: Collateral;
  /** SHA-256 of the values file and of the collateral, in hex: with other ones guests are asked again. */
  readonly sha256: string;
}

/** The connection that evidence must be bound to. */
export interface AttestedConnection {
  /** SHA-256 of the guest's key. */
  readonly id: string;
  /** Returns the exporter of the TLS connection with the guest (RFC 9266), in hex. */
  readonly exporter: () => string;
}

/** What verified evidence says of a guest; or why there is none that is verified. */
export type Attestation =
  | {
      readonly ok: true;
      readonly described: GuestDescription;
      readonly kinds: string;
      readonly logKey: string;
    }
  | { readonly ok: false; readonly reason: string };

/** A bundle with the certificates of a processor and the firmware's log has a tenth of it. */
const maxBytes = 256 * 1024;

/**
 * Asks a guest for evidence, as the first call of its connection, and verifies that it is of this very connection: the key and
 * the exporter as this end has them. A guest that passes on the call to another one, or sends evidence that it has kept, fails.
 * Throws a TtrpcError for a call that fails otherwise than a missing source does.
 */
export async function attestGuest(
  channel: Channel,
  { id, exporter }: AttestedConnection,
  { values, collateral }: EvidenceDemand,
  timeoutMs: number,
): Promise<Attestation> {
  const nonce = randomBytes(32);
  let bundle: Uint8Array;
  try {
    ({ bundle } = await createClient(Management, channel).attest({ nonce }, { timeoutMs }));
  } catch (error) {
    if (error instanceof TtrpcError && hasNone.has(error.code))
      return { ok: false, reason: `it has no evidence: ${error.message}` };
    throw error;
  }
  if (bundle.length > maxBytes)
    return { ok: false, reason: `its evidence has more than ${maxBytes} bytes: ${bundle.length}` };
  try {
    const verification = verifyEvidence(
      parseBundle(bundle),
      values,
      { nonce: nonce.toString('hex'), channel: `tls-exporter:${exporter()}`, tlsSpki: id },
      { collateral, at: Date.now() },
    );
    return attestationOf(verification);
  } catch (error) {
    if (error instanceof EvidenceFormError)
      return { ok: false, reason: `its evidence cannot be read: ${error.message}` };
    throw error;
  }
}

/** The listener does not serve Attest, or the agent has no source. */
const hasNone: ReadonlySet<Code> = new Set([
  Code.Unimplemented,
  Code.PermissionDenied,
  Code.FailedPrecondition,
]);

function attestationOf({ verified, links, claims }: Verification): Attestation {
  const broken = links.find(({ state, waived }) => state !== 'ok' && !waived);
  if (!verified || claims === undefined) {
    const { name, state, what } = broken ?? { name: 'claims', state: 'failed', what: 'there are none' };
    return { ok: false, reason: `its evidence is not verified, ${name} ${state}: ${what}` };
  }
  const { version, bootId, configDigest, logKey } = claims;
  return {
    ok: true,
    described: { version, bootId, configurationDigest: `sha256:${configDigest}` },
    logKey,
    kinds: links.find(({ name }) => name === 'evidence.kinds')?.what ?? '',
  };
}
