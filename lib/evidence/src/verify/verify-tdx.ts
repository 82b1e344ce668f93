import { createHash } from 'node:crypto';
import { allZero, equalBytes, toHex } from '../byte-reader.js';
import { checkRevocation } from '../chain/revocation.js';
import { ecKey, ecKeyOfPoint, intelSignatures, verifyEcdsa } from '../chain/signature-scheme.js';
import { dateText, validityFault } from '../chain/chain-certificate.js';
import type { Collateral } from '../collateral/collateral.js';
import { checked, type Link, notChecked } from '../link.js';
import {
  findPckChain,
  intelQuotingEnclave,
  intelRoots,
  type PckChain,
  pckChainFault,
  type QuotingEnclave,
} from '../tdx/pck-chain.js';
import { parseTdxQuote, type TdReport, type TdxQuote } from '../tdx/quote.js';
import type { TcbFinding } from '../collateral/signed-tcb.js';
import { checkTcb } from '../collateral/signed-tcb.js';
import { type TdxValues, tdxMismatch } from '../tdx/values.js';

/** TDATTRIBUTES (Intel TDX module specification): bits 0 to 7 end the trust, 8 to 31 can affect security, the rest cannot. */
const Bit = {
  debug: 1n << 0n,
  icssd: 1n << 16n,
  lass: 1n << 27n,
  septVeDisable: 1n << 28n,
  migratable: 1n << 29n,
  pks: 1n << 30n,
  keyLocker: 1n << 31n,
} as const;

const untrusted = 0xffn;

const security = 0xffff_ff00n;

const knownSecurity = Bit.icssd | Bit.lass | Bit.septVeDisable | Bit.migratable | Bit.pks | Bit.keyLocker;

/** The links of a quote, in the order in which they are checked. */
export const tdxLinks = [
  'tdx.root',
  'tdx.chain',
  'tdx.validity',
  'tdx.revocation',
  'tdx.qe-report',
  'tdx.attestation-key',
  'tdx.signature',
  'tdx.qe',
  'tdx.module',
  'tdx.attributes',
  'tdx.qe-identity',
  'tdx.values',
  'tdx.tcb',
  'tdx.mrconfigid',
  'tdx.report-data',
] as const;

export type TdxLink = Link<(typeof tdxLinks)[number]>;

/** What a verifier knows. */
export interface TdxExpectation {
  /** The 64 bytes that the quote must contain. */
  readonly reportData: Uint8Array;
  /** The 48 bytes of MRCONFIGID, if the caller knows them. */
  readonly mrConfigId?: Uint8Array | undefined;
  /** Accepted guests; empty if there is no values file. */
  readonly values: readonly TdxValues[];
  readonly collateral: Collateral;
  /** The time to compare certificates and collateral with, in milliseconds of the epoch. */
  readonly at?: number | undefined;
  /** Intel's unless set: SHA-256 of public keys, in hex. */
  readonly roots?: readonly string[];
  /** Intel's unless set. */
  readonly quotingEnclave?: QuotingEnclave;
}

export interface TdxVerification {
  readonly links: readonly TdxLink[];
  /** Believed only if all links are `ok`. */
  readonly quote: TdxQuote;
  /** What Intel's TCB info says of the platform, if there is one. */
  readonly tcb: TcbFinding | undefined;
  /** The index of the tuple of the values file that the quote agrees with. */
  readonly accepted: number | undefined;
}

/** Verifies a quote without padding (see `withoutPadding`). Throws an EvidenceFormError if the quote cannot be read. */
export function verifyTdx(bytes: Uint8Array, expectation: TdxExpectation): TdxVerification {
  const { collateral, values, at, roots = intelRoots, quotingEnclave = intelQuotingEnclave } = expectation;
  const quote = parseTdxQuote(bytes);
  const { report } = quote;
  const chain = findPckChain(quote.certificates, roots);
  const tcb = checkTcb(quote, chain, { collateral, at, roots });
  const matching = values.flatMap((each, index) => (tdxMismatch(report, each) === undefined ? [index] : []));
  const accepts = (index: number): boolean =>
    values[index]?.statuses.some((each) => each === tcb.finding?.status) ?? false;
  const accepted = matching.find(accepts) ?? matching[0];
  const links: readonly TdxLink[] = [
    checked('tdx.root', chain.rootFault, 'Intel SGX Root CA'),
    checked(
      'tdx.chain',
      pckChainFault(chain),
      chain.certificates.map(({ commonName }) => commonName).join(', '),
    ),
    validity(chain, at),
    revocation(chain, collateral, at),
    checked('tdx.qe-report', qeReportFault(quote, chain), 'signed by the PCK'),
    checked('tdx.attestation-key', attestationKeyFault(quote), 'bound by the QE report'),
    checked('tdx.signature', signatureFault(quote), 'signed by the attestation key'),
    checked(
      'tdx.qe',
      quotingEnclaveFault(quote, quotingEnclave),
      `Intel's quoting enclave, SVN ${quote.qeReport.isvSvn}`,
    ),
    checked('tdx.module', moduleSignerFault(report), `signed by Intel, MRSEAM ${toHex(report.mrSeam)}`),
    checked('tdx.attributes', attributesFault(report), attributesText(report.tdAttributes)),
    { name: 'tdx.qe-identity', ...tcb.qeIdentity },
    valuesLink(quote, values, accepted),
    {
      name: 'tdx.tcb',
      ...tcb.level(accepted === undefined ? ['UpToDate'] : (values[accepted]?.statuses ?? [])),
    },
    mrConfigIdLink(quote, expectation, accepted === undefined ? undefined : values[accepted]),
    checked(
      'tdx.report-data',
      equalBytes(report.reportData, expectation.reportData)
        ? undefined
        : `the report data is ${toHex(report.reportData)}, not ${toHex(expectation.reportData)}`,
      'as expected',
    ),
  ];
  return { links, quote, tcb: tcb.finding, accepted };
}

function validity({ certificates }: PckChain, at: number | undefined): TdxLink {
  if (at === undefined) return notChecked('tdx.validity', 'no time was given');
  const missing = certificates.length < 3 ? 'the chain is not complete' : undefined;
  return checked('tdx.validity', missing ?? validityFault(certificates, at), `valid at ${dateText(at)}`);
}

function revocation({ certificates }: PckChain, collateral: Collateral, at: number | undefined): TdxLink {
  const [pck, authority, root] = certificates;
  if (pck === undefined || authority === undefined || root === undefined)
    return checked('tdx.revocation', 'the chain is not complete', '');
  const issued = [
    { issuer: root, certificates: [root, authority] },
    { issuer: authority, certificates: [pck] },
  ];
  const check = { lists: collateral.revocationLists, scheme: intelSignatures, at };
  return { name: 'tdx.revocation', ...checkRevocation(issued, check) };
}

function qeReportFault(quote: TdxQuote, { certificates: [pck] }: PckChain): string | undefined {
  const key = pck && ecKey(pck.publicKey, 'P-256');
  if (key === undefined) return 'there is no PCK certificate with a key of P-256';
  return verifyEcdsa('sha256', quote.qeReport.signed, quote.qeReportSignature, key)
    ? undefined
    : 'the signature of the QE report is not one of the PCK';
}

function attestationKeyFault({
  attestationKey,
  qeAuthenticationData,
  qeReport,
}: TdxQuote): string | undefined {
  const hash = createHash('sha256').update(attestationKey).update(qeAuthenticationData).digest();
  return equalBytes(qeReport.reportData, Buffer.concat([hash, Buffer.alloc(32)]))
    ? undefined
    : 'the report data of the QE is not the hash of attestation key and authentication data';
}

function signatureFault({ attestationKey, signed, signature }: TdxQuote): string | undefined {
  const key = ecKeyOfPoint(attestationKey, 'P-256');
  if (key === undefined) return 'the attestation key is not a point of P-256';
  return verifyEcdsa('sha256', signed, signature, key)
    ? undefined
    : 'the signature is not one of the attestation key';
}

const debugAttribute = 0x02;

/** Any enclave on a genuine platform can get a report signed: without this check it could make attestation keys. */
function quotingEnclaveFault(
  { qeReport }: TdxQuote,
  { mrSigner, isvProdId }: QuotingEnclave,
): string | undefined {
  const signer = toHex(qeReport.mrSigner);
  if (signer !== mrSigner) return `the quoting enclave is signed by ${signer}, not by Intel (${mrSigner})`;
  if (qeReport.isvProdId !== isvProdId)
    return `the quoting enclave has product ${qeReport.isvProdId}, not ${isvProdId}`;
  return ((qeReport.attributes[0] ?? 0) & debugAttribute) === 0
    ? undefined
    : 'the quoting enclave can be debugged';
}

function valuesLink(
  { report }: TdxQuote,
  values: readonly TdxValues[],
  accepted: number | undefined,
): TdxLink {
  if (values.length === 0) return notChecked('tdx.values', 'there are no reference values: unknown software');
  const mismatches = values.map((each, index) => `tuple ${index}: ${tdxMismatch(report, each)}`);
  return checked(
    'tdx.values',
    accepted === undefined ? mismatches.join('; ') : undefined,
    `tuple ${accepted}`,
  );
}

function mrConfigIdLink(
  { report }: TdxQuote,
  { mrConfigId }: TdxExpectation,
  values: TdxValues | undefined,
): TdxLink {
  const text = toHex(report.mrConfigId);
  if (mrConfigId !== undefined) {
    const fault = equalBytes(mrConfigId, report.mrConfigId)
      ? undefined
      : `MRCONFIGID is ${text}, not ${toHex(mrConfigId)}`;
    return checked('tdx.mrconfigid', fault, text);
  }
  if (values !== undefined && values.mrConfigId !== 'any') return checked('tdx.mrconfigid', undefined, text);
  return notChecked('tdx.mrconfigid', `MRCONFIGID is ${text}, and nothing to compare it with was given`);
}

/** Returns why no guest with these attributes is believed; undefined if it may be. */
function attributesFault({ tdAttributes, mrServiceTd }: TdReport): string | undefined {
  const text = attributesText(tdAttributes);
  if ((tdAttributes & Bit.debug) !== 0n)
    return `the attributes ${text} have DEBUG: the host can read and write the guest's memory`;
  if ((tdAttributes & untrusted) !== 0n) return `the attributes ${text} let the host profile the guest`;
  if ((tdAttributes & Bit.septVeDisable) === 0n)
    return `the attributes ${text} do not have SEPT_VE_DISABLE: the host can inject exceptions by removing pages`;
  if ((tdAttributes & Bit.migratable) !== 0n)
    return `the attributes ${text} have MIGRATABLE: a service TD can move the guest`;
  if ((tdAttributes & security & ~knownSecurity) !== 0n)
    return `the attributes ${text} have unknown security bits`;
  if (mrServiceTd !== undefined && !allZero(mrServiceTd))
    return `a service TD is bound to the guest (MRSERVICETD ${toHex(mrServiceTd)})`;
  return undefined;
}

function attributesText(attributes: bigint): string {
  return `0x${attributes.toString(16)}`;
}

/** Returns why the TDX module is not one that Intel signed; undefined if it is. Intel's own modules have zeros. */
function moduleSignerFault({ mrSignerSeam, seamAttributes }: TdReport): string | undefined {
  if (!allZero(mrSignerSeam)) return `the TDX module is signed by ${toHex(mrSignerSeam)}, not by Intel`;
  return allZero(seamAttributes) ? undefined : `SEAMATTRIBUTES are ${toHex(seamAttributes)}, not zero`;
}
