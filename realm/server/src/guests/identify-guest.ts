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

/** The longest version or boot ID. */
const longestField = 128;

/** A bundle with the certificates of a processor and the firmware's log has a tenth of it. */
const maxBytes = 256 * 1024;

/** The listener does not serve Attest, or the agent has no source. */
const hasNone: ReadonlySet<Code> = new Set([
  Code.Unimplemented,
  Code.PermissionDenied,
  Code.FailedPrecondition,
]);

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

/** What a realm accepts as evidence. */
export interface EvidenceDemand {
  readonly values: ReferenceValues;
  readonly collateral: Collateral;
  /** SHA-256 of the values file and of the collateral, in hex: with other ones guests are asked again. */
  readonly sha256: string;
}

/** The connection that evidence must be bound to. */
interface AttestedConnection {
  /** SHA-256 of the guest's key. */
  readonly id: string;
  /** Returns the exporter of the TLS connection with the guest (RFC 9266), in hex. */
  readonly exporter: () => string;
}

/** What verified evidence says of a guest; or why there is none that is verified. */
type Attestation =
  | {
      readonly ok: true;
      readonly described: GuestDescription;
      readonly kinds: string;
      readonly logKey: string;
    }
  | { readonly ok: false; readonly reason: string };

/**
 * Asks a guest for evidence, as the first call of its connection, and verifies that it is of this very connection: the key and
 * the exporter as this end has them. A guest that passes on the call to another one, or sends evidence that it has kept, fails.
 * Throws a TtrpcError for a call that fails otherwise than a missing source does.
 */
async function attestGuest(
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

/**
 * Asks a guest what it is. Undefined: its listener does not serve Describe. Throws a TtrpcError, or an Error if the answer
 * cannot be one of an agent.
 */
async function describeGuest(channel: Channel, timeoutMs: number): Promise<GuestDescription | undefined> {
  try {
    const reply = await createClient(Management, channel).describe({}, { timeoutMs });
    const { version, bootId, configurationDigest } = reply;
    if (![version, bootId].every((text) => text.length <= longestField && /^[\x20-\x7e]*$/.test(text)))
      throw new Error('its answer to Describe has an invalid version or boot id');
    const digest = configurationDigest.replace(/^(?=[0-9a-f]{64}$)/, 'sha256:');
    if (!/^sha256:[0-9a-f]{64}$/.test(digest))
      throw new Error('its answer to Describe has an invalid digest');
    return { version, bootId, configurationDigest: digest };
  } catch (error) {
    if (!(error instanceof TtrpcError)) throw error;
    if (error.code === Code.Unimplemented || error.code === Code.PermissionDenied) return undefined;
    throw error;
  }
}
