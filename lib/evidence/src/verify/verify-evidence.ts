import type { Bundle, EvidenceKind, KindBundle, SnpBundle, TdxBundle } from '../bundle.js';
import { type Claims, parseClaims, reportDataOf } from '../claims.js';
import { type Collateral, noCollateral } from '../collateral/collateral.js';
import { parseAgentEvent } from '../events/agent-event.js';
import { hasDigestOfData, type LoggedEvent, replay } from '../events/event-log.js';
import { EvidenceFormError } from '../evidence-error.js';
import { failed, type Link, notChecked, ok } from '../link.js';
import { parseSnpCertificateTable } from '../snp/report.js';
import type { SnpRoot } from '../snp/snp-chain.js';
import { verifySnp } from './verify-snp.js';
import { withoutPadding } from '../tdx/quote.js';
import { type TdxExpectation, verifyTdx } from './verify-tdx.js';
import type { ReportedKey } from './tpm-root.js';
import { verifyTpm } from './verify-tpm.js';
import type { ReferenceValues } from './values.js';
import { type ClaimExpectations, verifyClaims } from './verify-claims.js';

/** What a verifier has beside the values file. */
export interface VerifierInputs {
  /** HOSTDATA and MRCONFIGID that the caller computed of its initdata. */
  readonly hostData?: Uint8Array;
  readonly mrConfigId?: Uint8Array;
  readonly collateral: Collateral;
  /** The time to compare certificates with, in milliseconds of the epoch. Undefined: validity is not checked. */
  readonly at?: number;
  /** AMD's unless set. */
  readonly amdRoots?: readonly SnpRoot[];
  /** Intel's unless set. */
  readonly intel?: Pick<TdxExpectation, 'roots' | 'quotingEnclave'>;
}

/** The result of a verification. */
export interface Verification {
  /** Every link is ok, or was not checked and is waived. */
  readonly verified: boolean;
  /** In one line. */
  readonly result: string;
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
  inputs: VerifierInputs = { collateral: noCollateral },
): Verification {
  const hardware = verifyHardware(bundle, values, inputs);
  const { claims, links } = verifySaid(bundle, values, expected, hardware);
  const all = [...hardware, ...links].map((link) => ({
    ...link,
    waived: isWaived(link, values),
  }));
  const verified = all.every(({ state, waived }) => state === 'ok' || waived);
  return { verified, result: resultOf(all, verified), links: all, claims };
}

function verifyHardware(bundle: Bundle, values: ReferenceValues, inputs: VerifierInputs): readonly Link[] {
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
  // Reports of the processor first: a TPM can be rooted in one.
  const links = new Map<EvidenceKind, readonly Link[]>();
  for (const kind of ['snp', 'tdx', 'tpm'] as const) {
    const one = accepted.find((each) => each.kind === kind);
    if (one !== undefined) links.set(kind, verifyKind(one, bundle, values, inputs, links));
  }
  return [kinds, ...[...links.values()].flat()];
}

/** Returns the attestation key of the claims, if a report of the processor binds them and is verified. */
function reportedKey(
  { claims }: Bundle,
  values: ReferenceValues,
  links: ReadonlyMap<EvidenceKind, readonly Link[]>,
): ReportedKey | undefined {
  const kind = (['snp', 'tdx'] as const).find((each) =>
    links.get(each)?.every((link) => link.state === 'ok' || isWaived(link, values)),
  );
  if (kind === undefined) return undefined;
  const unproven = links.get(kind)?.find(({ state, name }) => state !== 'ok' && !isOfCertificates(name));
  const known = unproven === undefined ? { kind } : { kind, unproven: unproven.name };
  try {
    return { ...known, ak: parseClaims(claims).tpmAk };
  } catch (error) {
    if (error instanceof EvidenceFormError) return { ...known, ak: undefined };
    throw error;
  }
}

/** Links about the time of certificates: without them a report is still of this hardware and this software. */
function isOfCertificates(name: string): boolean {
  return /\.(validity|revocation)$/.test(name);
}

function isWaived({ state, name }: Link, { waive }: ReferenceValues): boolean {
  return state === 'not checked' && waive.includes(name);
}

function verifyKind(
  one: KindBundle,
  bundle: Bundle,
  values: ReferenceValues,
  inputs: VerifierInputs,
  before: ReadonlyMap<EvidenceKind, readonly Link[]>,
): readonly Link[] {
  switch (one.kind) {
    case 'tpm':
      return verifyTpm(bundle, one, {
        tuples: values.tpm,
        roots: values.tpmRoots,
        reported: reportedKey(bundle, values, before),
        collateral: inputs.collateral,
        at: inputs.at,
      });
    case 'snp':
      return readable('snp.report', () => snpLinksOf(one, bundle, values, inputs));
    case 'tdx':
      return readable('tdx.quote', () => tdxLinksOf(one, bundle, values, inputs));
  }
}

/** Returns the links, or a failed one of this name for evidence that cannot be read. */
function readable(name: string, links: () => readonly Link[]): readonly Link[] {
  try {
    return links();
  } catch (error) {
    if (error instanceof EvidenceFormError) return [failed(name, error.message)];
    throw error;
  }
}

function snpLinksOf(
  { report, certificates }: SnpBundle,
  { claims }: Bundle,
  { snp }: ReferenceValues,
  { hostData, collateral, at, amdRoots }: VerifierInputs,
): readonly Link[] {
  return verifySnp(
    { report, certificates: certificates.length === 0 ? [] : parseSnpCertificateTable(certificates) },
    {
      reportData: reportDataOf(claims),
      hostData,
      values: snp,
      collateral,
      at,
      ...(amdRoots === undefined ? {} : { roots: amdRoots }),
    },
  ).links;
}

function tdxLinksOf(
  { quote }: TdxBundle,
  { claims, eventLogs }: Bundle,
  { tdx }: ReferenceValues,
  { mrConfigId, collateral, at, intel = {} }: VerifierInputs,
): readonly Link[] {
  const verification = verifyTdx(withoutPadding(quote), {
    reportData: reportDataOf(claims),
    mrConfigId,
    values: tdx,
    collateral,
    at,
    ...intel,
  });
  return [...verification.links, checkRtmr(eventLogs.rtmr, verification.quote.report.rtmrs[rtmr])];
}

/** The runtime register of the agent's events, and its number in event logs, which count MRTD as 0 (UEFI 2.11, 38.4.1). */
const rtmr = 3;
const rtmrIndex = rtmr + 1;

function checkRtmr(log: readonly LoggedEvent[], value: Uint8Array | undefined): Link {
  const name = 'tdx.event-log';
  if (log.length === 0)
    return notChecked(
      name,
      'the agent has measured nothing into RTMR 3: write rtmr = "require" in [measurement]',
    );
  const forged = log.findIndex((event) => !hasDigestOfData(event, 'sha384'));
  if (forged >= 0) return failed(name, `record ${forged} has a digest that is not of its data`);
  const replayed = replay(log, 'sha384').get(rtmrIndex);
  const actual = Buffer.from(value ?? []).toString('hex');
  return replayed === actual
    ? ok(name, `the log explains RTMR ${rtmr}: ${log.length} events of the agent`)
    : failed(name, `the log gives RTMR ${rtmr} the value ${replayed ?? 'none'}, and the quote has ${actual}`);
}

/** Claims are compared once the hardware has signed them: before, they are unverified. */
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
  const { tpm, rtmr } = bundle.eventLogs;
  const uses = (kind: EvidenceKind): boolean =>
    values.accept.includes(kind) && bundle.evidence.some((one) => one.kind === kind);
  return {
    claims,
    links: [
      ...verifyClaims(bundle, claims, expected, values.configurations),
      ...(uses('tpm') ? verifyMeasuredEvents('tpm', tpm, claims, values.register) : []),
      ...(uses('tdx')
        ? rtmr.length > 0
          ? verifyMeasuredEvents('tdx', rtmr, claims, rtmrIndex)
          : unmeasured('tdx')
        : []),
    ],
  };
}

/** What rests on an event log that there is none of: to waive the log is not to waive these. */
function unmeasured(kind: 'tdx'): readonly Link[] {
  const what = `rests on ${kind}.event-log, which is not checked: nothing was measured`;
  return [notChecked(`${kind}.configuration`, what), notChecked(`${kind}.keys`, what)];
}

function resultOf(links: readonly (Link & { readonly waived: boolean })[], verified: boolean): string {
  if (verified) return 'verified';
  const broken = links.find(({ state, waived }) => state !== 'ok' && !waived);
  if (broken === undefined) return 'not verified';
  if (/^[a-z]+\.values$/.test(broken.name)) return `genuine hardware, unknown software: ${broken.what}`;
  return `not verified: ${broken.name} ${broken.state === 'failed' ? 'failed' : 'is not checked'}: ${broken.what}`;
}

/**
 * Compares what the agent measured at its start with the claims. `register` is the one that the configuration names: in another,
 * anybody who is root in the guest can make events of this form. Only events before the first separator are believed: since
 * then containers can have run, and one that has become root in the guest can extend registers as well.
 */
function verifyMeasuredEvents(
  kind: 'tpm' | 'tdx',
  agent: readonly LoggedEvent[],
  { configDigest, tlsSpki, logKey, bootId }: Claims,
  register: number,
): readonly Link[] {
  const [configuration, keys] = [`${kind}.configuration`, `${kind}.keys`] as const;
  const events = agent.map(({ data }) => parseAgentEvent(data));
  const end = events.findIndex(({ kind }) => kind === 'separator');
  const separator = events[end];
  const other = agent.find((one) => one.register !== register);
  const fault =
    end < 0
      ? 'there is no separator, so no event is believed'
      : other !== undefined
        ? `the agent's log has an event in register ${other.register}, and its register is ${register}`
        : separator?.kind === 'separator' && separator.bootId !== bootId
          ? `the separator is of the boot ${separator.bootId}, and the claims are of ${bootId}`
          : events.slice(0, end).some(({ kind }) => kind === 'unknown')
            ? 'an event before the separator is not of the agent'
            : undefined;
  if (fault !== undefined) return [failed(configuration, fault), failed(keys, fault)];
  const believed = events.slice(0, end);
  const later = events.length - end - 1;
  const configurations = believed.flatMap((one) => (one.kind === 'configuration' ? [one.digest] : []));
  const measured = believed.some(
    (one) => one.kind === 'keys' && one.tlsSpki === tlsSpki && one.logKey === logKey,
  );
  return [
    configurations.length === 1 && configurations[0] === `sha256:${configDigest}`
      ? ok(configuration, 'the digest of the configuration was measured before the separator')
      : failed(
          configuration,
          `measured before the separator: ${configurations.join(', ') || 'no configuration'}; claimed: sha256:${configDigest}`,
        ),
    measured
      ? ok(
          keys,
          `the TLS key and the log key were measured before the separator${later === 0 ? '' : `; ${later} later events are not believed`}`,
        )
      : failed(
          keys,
          'the TLS key and the log key were not measured before the separator: the agent was started again in this boot, or they are of another program; start the guest again',
        ),
  ];
}
