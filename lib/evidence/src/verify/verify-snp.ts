import { allZero, equalBytes, toHex } from '../byte-reader.js';
import { type ChainCertificate, dateText, validityFault } from '../chain/chain-certificate.js';
import { checkRevocation } from '../chain/revocation.js';
import { amdSignatures, ecKey, verifyEcdsa } from '../chain/signature-scheme.js';
import type { Collateral } from '../collateral/collateral.js';
import { EvidenceFormError } from '../evidence-error.js';
import { checked, type Link, notChecked } from '../link.js';
import {
  amdRoots,
  type Endorsement,
  findSnpChain,
  readEndorsement,
  type SnpChain,
  snpChainFault,
  type SnpRoot,
} from '../snp/snp-chain.js';
import { policyFault, policyText, snpMismatch, type SnpValues } from '../snp/values.js';
import { decodeTcb, equalTcb, productOfCpu, type SnpProduct, tcbText } from '../snp/tcb.js';
import { parseSnpReport, type SnpReport } from '../snp/report.js';

/** The links of a report, in the order in which they are checked. */
export const snpLinks = [
  'snp.root',
  'snp.chain',
  'snp.validity',
  'snp.revocation',
  'snp.signature',
  'snp.key',
  'snp.chip',
  'snp.tcb',
  'snp.product',
  'snp.policy',
  'snp.vmpl',
  'snp.values',
  'snp.host-data',
  'snp.report-data',
] as const;

export type SnpLink = Link<(typeof snpLinks)[number]>;

/** What a guest shows. */
export interface SnpEvidence {
  readonly report: Uint8Array;
  /** Certificates in DER that came with the report, in any order. They need no trust. */
  readonly certificates: readonly Uint8Array[];
}

/** What its verifier knows. */
export interface SnpExpectation {
  /** The 64 bytes that the report must contain. */
  readonly reportData: Uint8Array;
  /** The 32 bytes of HOSTDATA, if the caller knows them. */
  readonly hostData?: Uint8Array | undefined;
  /** Accepted guests; empty if there is no values file. */
  readonly values: readonly SnpValues[];
  readonly collateral: Collateral;
  /** The time to compare certificates with, in milliseconds of the epoch. */
  readonly at?: number | undefined;
  /** Zero unless set: the most privileged level. */
  readonly vmpl?: number;
  /** AMD's unless set. */
  readonly roots?: readonly SnpRoot[];
}

export interface SnpVerification {
  readonly links: readonly SnpLink[];
  /** Believed only if all links are `ok`. */
  readonly report: SnpReport;
  readonly product: SnpProduct | undefined;
  /** The index of the tuple of the values file that the report agrees with. */
  readonly accepted: number | undefined;
}

/** Verifies a report. Throws an EvidenceFormError if the report cannot be read. */
export function verifySnp(evidence: SnpEvidence, expectation: SnpExpectation): SnpVerification {
  const { collateral, values, at, vmpl = 0, roots = amdRoots } = expectation;
  const report = parseSnpReport(evidence.report);
  // The caller's own certificates first: those of the bundle cannot take their place.
  const certificates = [...collateral.certificates, ...evidence.certificates];
  const chain = findSnpChain(certificates, roots, (key) => signatureFault(report, key) === undefined);
  const { key, product } = chain;
  const endorsement = readKey(key, product);
  const accepted =
    product === undefined ? -1 : values.findIndex((each) => snpMismatch(report, product, each) === undefined);
  const links: readonly SnpLink[] = [
    checked('snp.root', rootFault(chain), `AMD's root of ${product}`),
    checked(
      'snp.chain',
      snpChainFault(chain),
      `${chain.root?.commonName}, ${chain.signer?.commonName}, ${key?.commonName}`,
    ),
    validity(chain, at),
    revocation(chain, collateral, at),
    checked('snp.signature', signatureFault(report, key), `signed by the ${key?.commonName}`),
    checked(
      'snp.key',
      keyFault(report, endorsement),
      `the ${key?.commonName} of the certificate, not masked`,
    ),
    checked('snp.chip', chipFault(report, endorsement), chipText(report, endorsement)),
    checked('snp.tcb', tcbFault(report, endorsement, product), tcbOf(report, product)),
    checked('snp.product', productFault(report, product), `${product}`),
    checked('snp.policy', policyFault(report.policy), policyText(report.policy)),
    checked(
      'snp.vmpl',
      report.vmpl === vmpl ? undefined : `the report is of VMPL ${report.vmpl}, not ${vmpl}`,
      `${vmpl}`,
    ),
    valuesLink(report, product, values, accepted),
    hostDataLink(report, expectation, values[accepted]),
    checked(
      'snp.report-data',
      equalBytes(report.reportData, expectation.reportData)
        ? undefined
        : `the report data is ${toHex(report.reportData)}, not ${toHex(expectation.reportData)}`,
      'as expected',
    ),
  ];
  return { links, report, product, accepted: accepted < 0 ? undefined : accepted };
}

function readKey(key: ChainCertificate | undefined, product: SnpProduct | undefined): Endorsement | string {
  if (key === undefined || product === undefined) return 'there is no certificate of a known product';
  try {
    return readEndorsement(key, product);
  } catch (error) {
    if (error instanceof EvidenceFormError) return error.message;
    throw error;
  }
}

function rootFault({ root, product }: SnpChain): string | undefined {
  if (root === undefined)
    return 'there is no certificate of a root; help: add the cert_chain of the product to the collateral';
  return product === undefined ? `the key of ${root.commonName} is not one of AMD's roots` : undefined;
}

function validity({ key, signer, root }: SnpChain, at: number | undefined): SnpLink {
  if (at === undefined) return notChecked('snp.validity', 'no time was given');
  const certificates = [root, signer, key].filter((each) => each !== undefined);
  const missing = certificates.length < 3 ? 'the chain is not complete' : undefined;
  return checked('snp.validity', missing ?? validityFault(certificates, at), `valid at ${dateText(at)}`);
}

/** AMD's lists name authorities only: a chip's key is replaced by a new TCB, and all have the serial number 0. */
function revocation(
  { signer, root }: SnpChain,
  { revocationLists }: Collateral,
  at: number | undefined,
): SnpLink {
  if (signer === undefined || root === undefined)
    return checked('snp.revocation', 'the chain is not complete', '');
  const issued = [{ issuer: root, certificates: [root, signer] }];
  return {
    name: 'snp.revocation',
    ...checkRevocation(issued, { lists: revocationLists, scheme: amdSignatures, at }),
  };
}

function signatureFault(report: SnpReport, certificate: ChainCertificate | undefined): string | undefined {
  if (report.signature === undefined) return `the signature algorithm ${report.signatureAlgorithm} is not 1`;
  if (certificate === undefined) return 'there is no certificate of the key';
  const key = ecKey(certificate.publicKey, 'P-384');
  if (key === undefined) return `the key of ${certificate.commonName} is not one of P-384`;
  return verifyEcdsa('sha384', report.signed, report.signature, key)
    ? undefined
    : `the signature is not one of the ${certificate.commonName}`;
}

const signingKeys = { VCEK: 0, VLEK: 1 };

function keyFault(report: SnpReport, endorsement: Endorsement | string): string | undefined {
  if (report.chipKeyMasked) return 'the chip key is masked: the report is not signed';
  if (typeof endorsement === 'string') return endorsement;
  return report.signingKey === signingKeys[endorsement.kind]
    ? undefined
    : `the report names the signing key ${report.signingKey}, and the certificate is of a ${endorsement.kind}`;
}

function chipFault({ chipId }: SnpReport, endorsement: Endorsement | string): string | undefined {
  if (typeof endorsement === 'string') return endorsement;
  const expected = endorsement.chipId;
  if (expected === undefined) return undefined;
  if (equalBytes(chipId.subarray(0, expected.length), expected) && allZero(chipId.subarray(expected.length)))
    return undefined;
  const masked = allZero(chipId) ? ' (masked by the host)' : '';
  return `the chip id ${toHex(chipId)}${masked} is not that of the certificate, ${toHex(expected)}`;
}

function chipText({ chipId }: SnpReport, endorsement: Endorsement | string): string {
  const provider = typeof endorsement === 'string' ? undefined : endorsement.providerId;
  return provider === undefined ? toHex(chipId) : `any chip of ${provider}: a VLEK names none`;
}

function tcbFault(
  report: SnpReport,
  endorsement: Endorsement | string,
  product: SnpProduct | undefined,
): string | undefined {
  if (typeof endorsement === 'string') return endorsement;
  const tcb = product && decodeTcb(report.tcb.reported, product);
  if (tcb === undefined) return 'reserved bytes of the reported TCB are not zero';
  return equalTcb(tcb, endorsement.tcb)
    ? undefined
    : `the reported TCB (${tcbText(tcb)}) is not that of the certificate (${tcbText(endorsement.tcb)})`;
}

function tcbOf({ tcb }: SnpReport, product: SnpProduct | undefined): string {
  const reported = product && decodeTcb(tcb.reported, product);
  return reported === undefined ? '' : tcbText(reported);
}

function productFault({ cpu, version }: SnpReport, product: SnpProduct | undefined): string | undefined {
  if (product === undefined) return 'the chain is not of a known product';
  // Before version 3 the chain alone says it.
  if (cpu === undefined || productOfCpu(cpu) === product) return undefined;
  const text = `family ${cpu.family}, model ${cpu.model}`;
  return `the processor (${text}) in the report of version ${version} is not of ${product}, as the chain is`;
}

function valuesLink(
  report: SnpReport,
  product: SnpProduct | undefined,
  values: readonly SnpValues[],
  accepted: number,
): SnpLink {
  if (values.length === 0) return notChecked('snp.values', 'there are no reference values: unknown software');
  if (product === undefined) return checked('snp.values', 'the chain is not of a known product', '');
  const mismatches = values.map((each, index) => `tuple ${index}: ${snpMismatch(report, product, each)}`);
  return checked('snp.values', accepted < 0 ? mismatches.join('; ') : undefined, `tuple ${accepted}`);
}

function hostDataLink(
  report: SnpReport,
  { hostData }: SnpExpectation,
  values: SnpValues | undefined,
): SnpLink {
  const text = toHex(report.hostData);
  if (hostData !== undefined) {
    const fault = equalBytes(hostData, report.hostData)
      ? undefined
      : `HOSTDATA is ${text}, not ${toHex(hostData)}`;
    return checked('snp.host-data', fault, text);
  }
  if (values !== undefined && values.hostData !== 'any') return checked('snp.host-data', undefined, text);
  return notChecked('snp.host-data', `HOSTDATA is ${text}, and nothing to compare it with was given`);
}
