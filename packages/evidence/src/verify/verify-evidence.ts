import type { Bundle, EvidenceKind, KindBundle } from '../bundle/bundle.js';
import { type Claims, parseClaims, reportDataOf } from '../claims/claims.js';
import { EvidenceFormError } from '../evidence-error.js';
import { verifyMeasuredEvents, verifyTpm } from '../tpm/verify-tpm.js';
import { type ClaimExpectations, verifyClaims } from './verify-claims.js';
import { failed, type Link, notChecked } from './link.js';
import type { ReferenceValues } from './values.js';

/** Verifies the hardware's part of SNP and TDX evidence, against tuples of the values file. */
export type ReportVerifier<K extends KindBundle> = (
  evidence: K,
  expected: { readonly reportData: Uint8Array; readonly tuples: readonly unknown[] },
) => readonly Link[];

/** Verifiers of reports. Without one, evidence of that kind is not checked. */
export interface ReportVerifiers {
  readonly snp?: ReportVerifier<Extract<KindBundle, { kind: 'snp' }>>;
  readonly tdx?: ReportVerifier<Extract<KindBundle, { kind: 'tdx' }>>;
}

/** The result of a verification. */
export interface Verification {
  /** Every link is ok, or was not checked and is waived. */
  readonly verified: boolean;
  /** In one line. */
  readonly verdict: string;
  /** In the order in which they were checked. */
  readonly links: readonly (Link & { readonly waived: boolean })[];
  /** Undefined: they could not be parsed. */
  readonly claims: Claims | undefined;
}

/**
 * Verifies evidence in the order of docs/trust.md, "Evidence": the hardware's signature and its chain, the reference values, and
 * only then the claims.
 */
export function verifyEvidence(
  bundle: Bundle,
  values: ReferenceValues,
  expected: ClaimExpectations,
  verifiers: ReportVerifiers = {},
): Verification {
  const hardware = verifyHardware(bundle, values, verifiers);
  const { claims, links } = verifySaid(bundle, values, expected, hardware);
  const all = [...hardware, ...links].map((link) => ({
    ...link,
    waived: link.state === 'not checked' && values.waive.includes(link.name),
  }));
  const verified = all.every(({ state, waived }) => state === 'ok' || waived);
  return { verified, verdict: verdictOf(all, verified), links: all, claims };
}

function verifyHardware(
  bundle: Bundle,
  values: ReferenceValues,
  verifiers: ReportVerifiers,
): readonly Link[] {
  const accepted = bundle.evidence.filter(({ kind }) => values.accept.includes(kind));
  const missing = values.require.filter((kind) => accepted.every((one) => one.kind !== kind));
  const name = 'evidence.kinds';
  const has = bundle.evidence.map(({ kind }) => kind).join(', ') || 'none';
  const kinds: Link =
    accepted.length === 0
      ? failed(name, `the bundle has ${has}, and the values file accepts ${values.accept.join(', ')}`)
      : missing.length > 0
        ? failed(name, `the bundle has ${has}, and the values file requires ${missing.join(', ')}`)
        : { name, state: 'ok', what: accepted.map(({ kind }) => kind).join(', ') };
  return [kinds, ...accepted.flatMap((one) => verifyKind(one, bundle, values, verifiers))];
}

function verifyKind(
  one: KindBundle,
  bundle: Bundle,
  values: ReferenceValues,
  verifiers: ReportVerifiers,
): readonly Link[] {
  const reportData = reportDataOf(bundle.claims);
  switch (one.kind) {
    case 'tpm':
      return verifyTpm(bundle, one, values.tpm);
    case 'snp':
      return verifiers.snp?.(one, { reportData, tuples: values.snp }) ?? [unverified(one.kind)];
    case 'tdx':
      return verifiers.tdx?.(one, { reportData, tuples: values.tdx }) ?? [unverified(one.kind)];
  }
}

function unverified(kind: EvidenceKind): Link {
  return notChecked(`${kind}.signature`, `this program does not verify evidence of the kind ${kind}`);
}

/** Claims are compared once the hardware has signed them: before, they are the word of anybody. */
function verifySaid(
  bundle: Bundle,
  values: ReferenceValues,
  expected: ClaimExpectations,
  hardware: readonly Link[],
): { readonly claims: Claims | undefined; readonly links: readonly Link[] } {
  if (hardware.some(({ state }) => state === 'failed'))
    return { claims: undefined, links: [notChecked('claims', 'the evidence of the hardware failed')] };
  let claims: Claims;
  try {
    claims = parseClaims(bundle.claims);
  } catch (error) {
    if (!(error instanceof EvidenceFormError)) throw error;
    return { claims: undefined, links: [failed('claims.form', error.message)] };
  }
  const usesTpm = values.accept.includes('tpm') && bundle.evidence.some(({ kind }) => kind === 'tpm');
  return {
    claims,
    links: [
      ...verifyClaims(bundle, claims, expected, values.configurations),
      ...(usesTpm ? verifyMeasuredEvents(bundle.eventLogs.agent, claims, values.register) : []),
    ],
  };
}

function verdictOf(links: readonly (Link & { readonly waived: boolean })[], verified: boolean): string {
  if (verified) return 'verified';
  const broken = links.find(({ state, waived }) => state !== 'ok' && !waived);
  if (broken === undefined) return 'not verified';
  if (/^[a-z]+\.measurement$/.test(broken.name)) return `genuine hardware, unknown software: ${broken.what}`;
  return `not verified: ${broken.name} ${broken.state === 'failed' ? 'failed' : 'is not checked'}: ${broken.what}`;
}
