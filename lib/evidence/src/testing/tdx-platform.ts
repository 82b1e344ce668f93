import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { certificatePem, der, integer, objectIdentifier, octetString, sequence } from '@kata-agent/x509';
import { parseCollateral } from '../collateral/collateral.js';
import type { QuotingEnclave } from '../tdx/pck-chain.js';
import { parseTdxValues } from '../tdx/values.js';
import { type TdxVerification, verifyTdx } from '../verify/verify-tdx.js';
import { type CertificateTemplate, day, issue, type ListTemplate, now, revoke } from './authority.js';

const rootKey: KeyObject = ecKeyPair();
const authorityKey: KeyObject = ecKeyPair();
export const pckKey: KeyObject = ecKeyPair();
const tcbKey: KeyObject = ecKeyPair();
const attestationKey: KeyObject = ecKeyPair();

const names = {
  root: 'Intel SGX Root CA',
  authority: 'Intel SGX PCK Platform CA',
  pck: 'Intel SGX PCK Certificate',
  tcb: 'Intel SGX TCB Signing',
};

const quotingEnclave: QuotingEnclave = { mrSigner: 'a1'.repeat(32), isvProdId: 2 };
export const fmspc = '90c06f000000';

export interface TdxTemplate {
  readonly version: 4 | 5;
  readonly form: '1.0' | '1.5';
}

/** Offsets in a TD report of the fields that a test changes. */
export const At = {
  teeTcbSvn: 0,
  mrSeam: 16,
  mrSignerSeam: 64,
  seamAttributes: 112,
  tdAttributes: 120,
  xfam: 128,
  mrTd: 136,
  mrConfigId: 184,
  mrOwner: 232,
  mrOwnerConfig: 280,
  rtmr0: 328,
  rtmr3: 472,
  reportData: 520,
  teeTcbSvn2: 584,
  mrServiceTd: 600,
} as const;

const reportData: Buffer = Buffer.alloc(64, 0x52);
const mrConfigId: Buffer = Buffer.alloc(48, 0x49);
const mrTd = Buffer.alloc(48, 0x4d);
const rtmr = (number: number): Buffer => Buffer.alloc(48, 0x30 + number);

function makeTdReport({ form }: TdxTemplate): Buffer {
  const report = Buffer.alloc(form === '1.0' ? 584 : 648);
  report.set([6, 1, 3], At.teeTcbSvn);
  report.writeBigUInt64LE(1n << 28n, At.tdAttributes);
  report.writeBigUInt64LE(0xe7n, At.xfam);
  mrTd.copy(report, At.mrTd);
  mrConfigId.copy(report, At.mrConfigId);
  for (const number of [0, 1, 2, 3]) rtmr(number).copy(report, At.rtmr0 + 48 * number);
  reportData.copy(report, At.reportData);
  if (form === '1.5') report.set([6, 1, 3], At.teeTcbSvn2);
  return report;
}

/** Parts of a quote that a test replaces or changes before they are signed. */
export interface QuoteChanges {
  readonly header?: (header: Buffer) => void;
  readonly body?: (report: Buffer) => void;
  readonly qeReport?: (report: Buffer) => void;
  readonly attestationKey?: KeyObject;
  readonly pckKey?: KeyObject;
  readonly authenticationData?: Buffer;
  readonly certificates?: readonly Uint8Array[];
  /** Type and size of the body of version 5. */
  readonly descriptor?: readonly [number, number];
  readonly types?: readonly [number, number];
  /** Replaces the PEM text of the certificates. */
  readonly chain?: Buffer;
}

/** Returns a signed quote. */
export function makeQuote(template: TdxTemplate, changes: QuoteChanges = {}): Buffer {
  const header = Buffer.alloc(48);
  header.writeUInt16LE(template.version, 0);
  header.writeUInt16LE(2, 2);
  header.writeUInt32LE(0x81, 4);
  header.write('939a7233f79c4ca9940a0db3957f0607', 12, 'hex');
  changes.header?.(header);
  const report = makeTdReport(template);
  changes.body?.(report);
  const descriptor = Buffer.alloc(template.version === 5 ? 6 : 0);
  if (template.version === 5) {
    const [type, size] = changes.descriptor ?? [template.form === '1.0' ? 2 : 3, report.length];
    descriptor.writeUInt16LE(type, 0);
    descriptor.writeUInt32LE(size, 2);
  }
  const signed = Buffer.concat([header, descriptor, report]);
  const key = changes.attestationKey ?? attestationKey;
  const signatureData = Buffer.concat([
    signRaw(signed, key),
    point(key),
    certification(changes.types?.[0] ?? 6, makeQeCertification(changes)),
  ]);
  return Buffer.concat([signed, u32(signatureData.length), signatureData]);
}

function makeQeCertification(changes: QuoteChanges): Buffer {
  const authenticationData = changes.authenticationData ?? Buffer.alloc(32, 0xad);
  const report = Buffer.alloc(384);
  report.set([0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7], 48);
  report.write(quotingEnclave.mrSigner, 128, 'hex');
  report.writeUInt16LE(quotingEnclave.isvProdId, 256);
  report.writeUInt16LE(6, 258);
  createHash('sha256')
    .update(point(attestationKey))
    .update(Buffer.alloc(32, 0xad))
    .digest()
    .copy(report, 320);
  changes.qeReport?.(report);
  const chain =
    changes.chain ?? Buffer.from(`${(changes.certificates ?? makeChain()).map(certificatePem).join('')}\0`);
  const size = Buffer.alloc(2);
  size.writeUInt16LE(authenticationData.length);
  return Buffer.concat([
    report,
    signRaw(report, changes.pckKey ?? pckKey),
    size,
    authenticationData,
    certification(changes.types?.[1] ?? 5, chain),
  ]);
}

type ChainChanges = Partial<Record<'pck' | 'authority' | 'root', Partial<CertificateTemplate>>>;

/** Returns PCK certificate, authority and root; changes of a template make the chain wrong. */
export function makeChain(changes: ChainChanges = {}): readonly Uint8Array[] {
  return [
    issue({
      vendor: 'intel',
      subject: names.pck,
      issuer: names.authority,
      key: pckKey,
      signingKey: authorityKey,
      serial: 3,
      usage: 0xc0,
      extensions: [sgxExtension()],
      ...changes.pck,
    }),
    issue({
      vendor: 'intel',
      subject: names.authority,
      issuer: names.root,
      key: authorityKey,
      signingKey: rootKey,
      serial: 2,
      authority: true,
      ...changes.authority,
    }),
    makeRoot(changes.root),
  ];
}

function makeRoot(changes: Partial<CertificateTemplate> = {}): Uint8Array {
  const { root } = names;
  return issue({
    vendor: 'intel',
    subject: root,
    issuer: root,
    key: rootKey,
    signingKey: rootKey,
    authority: true,
    ...changes,
  });
}

const sgx = '1.2.840.113741.1.13.1';

/** The SGX extension of a PCK certificate. */
export function sgxExtension(
  svns: readonly number[] = platformSvns,
  pceSvn = 13,
): { oid: string; value: Uint8Array } {
  const pair = (id: string, value: Uint8Array): Uint8Array =>
    sequence(objectIdentifier(`${sgx}.${id}`), value);
  const value = sequence(
    pair('1', octetString(Buffer.alloc(16, 0x1d))),
    pair(
      '2',
      sequence(
        ...svns.map((svn, index) => pair(`2.${index + 1}`, integer(Uint8Array.of(svn)))),
        pair('2.17', integer(Uint8Array.of(pceSvn))),
        pair('2.18', octetString(Uint8Array.from(svns))),
      ),
    ),
    pair('3', octetString(Buffer.alloc(2))),
    pair('4', octetString(Buffer.from(fmspc, 'hex'))),
    pair('5', der(0x0a, Uint8Array.of(0))),
  );
  return { oid: sgx, value };
}

const platformSvns: readonly number[] = [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 200];

export interface LevelTemplate {
  readonly sgx?: readonly number[];
  readonly tdx?: readonly number[];
  readonly pceSvn?: number;
  readonly status: string;
  readonly advisories?: readonly string[];
}

/** A level of the TCB info. */
export function level({
  sgx = platformSvns,
  tdx = [5, 0, 3],
  pceSvn = 13,
  status,
  advisories,
}: LevelTemplate): object {
  const components = (svns: readonly number[]): readonly object[] =>
    Array.from({ length: 16 }, (_, index) => ({ svn: svns[index] ?? 0 }));
  return {
    tcb: { sgxtcbcomponents: components(sgx), pcesvn: pceSvn, tdxtcbcomponents: components(tdx) },
    tcbDate: '2026-01-01T00:00:00Z',
    tcbStatus: status,
    ...(advisories === undefined ? {} : { advisoryIDs: advisories }),
  };
}

const isoTime = (time: number): string => new Date(time).toISOString().replace('.000Z', 'Z');
const dates = { issueDate: isoTime(now - day), nextUpdate: isoTime(now + day) };
const module0 = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) };
export const svnLevel = (isvsvn: number, tcbStatus: string, advisoryIDs: readonly string[] = []): object => ({
  tcb: { isvsvn },
  tcbDate: '2026-01-01T00:00:00Z',
  tcbStatus,
  advisoryIDs,
});

export function makeTcbInfo(changes: Readonly<Record<string, unknown>> = {}): object {
  return {
    id: 'TDX',
    version: 3,
    ...dates,
    fmspc: fmspc.toUpperCase(),
    pceId: '0000',
    tcbType: 0,
    tcbEvaluationDataNumber: 18,
    tdxModule: module0,
    tdxModuleIdentities: [
      { id: 'TDX_01', ...module0, tcbLevels: [svnLevel(6, 'UpToDate'), svnLevel(4, 'OutOfDate', ['SA-1'])] },
    ],
    tcbLevels: [level({ status: 'UpToDate' }), level({ status: 'OutOfDate', tdx: [4, 0, 2] })],
    ...changes,
  };
}

export function makeQeIdentity(changes: Readonly<Record<string, unknown>> = {}): object {
  return {
    id: 'TD_QE',
    version: 2,
    ...dates,
    tcbEvaluationDataNumber: 18,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: quotingEnclave.mrSigner.toUpperCase(),
    isvprodid: quotingEnclave.isvProdId,
    tcbLevels: [svnLevel(6, 'UpToDate'), svnLevel(4, 'OutOfDate', ['SA-2'])],
    ...changes,
  };
}

/** Returns an answer of Intel's provisioning service. */
export function signDocument(
  name: 'tcbInfo' | 'enclaveIdentity',
  value: object,
  key: KeyObject = tcbKey,
): Buffer {
  const body = JSON.stringify(value);
  return Buffer.from(`{"${name}":${body},"signature":"${signRaw(Buffer.from(body), key).toString('hex')}"}`);
}

export function makeSigner(changes: Partial<CertificateTemplate> = {}): Uint8Array {
  return issue({
    vendor: 'intel',
    subject: names.tcb,
    issuer: names.root,
    key: tcbKey,
    signingKey: rootKey,
    serial: 4,
    usage: 0xc0,
    ...changes,
  });
}

export function makeLists(
  changes: Partial<Record<'root' | 'authority', Partial<ListTemplate>>> = {},
): readonly Uint8Array[] {
  return [
    revoke({ vendor: 'intel', issuer: names.root, signingKey: rootKey, ...changes.root }),
    revoke({ vendor: 'intel', issuer: names.authority, signingKey: authorityKey, ...changes.authority }),
  ];
}

/** The values file that accepts the guest. */
export function makeValues(changes: Readonly<Record<string, unknown>> = {}): object {
  return {
    mrtd: mrTd.toString('hex'),
    rtmr0: rtmr(0).toString('hex'),
    rtmr1: rtmr(1).toString('hex'),
    rtmr2: rtmr(2).toString('hex'),
    rtmr3: rtmr(3).toString('hex'),
    mrconfigid: mrConfigId.toString('hex'),
    attributes: '0000001000000000',
    xfam: 'e700000000000000',
    minimum_tcb: `060103${'00'.repeat(13)}`,
    ...changes,
  };
}

/** Everything of a verification; a test changes some. */
export interface TdxCase {
  readonly quote: Uint8Array;
  readonly values: readonly object[];
  readonly mrConfigId: Uint8Array | undefined;
  readonly at: number | undefined;
  readonly roots: readonly string[];
  readonly quotingEnclave: QuotingEnclave;
  readonly tcbInfos: readonly Uint8Array[];
  readonly qeIdentities: readonly Uint8Array[];
  readonly certificates: readonly Uint8Array[];
  readonly lists: readonly Uint8Array[];
}

export function makeCase(template: TdxTemplate): TdxCase {
  const publicKey = createPublicKey(rootKey).export({ type: 'spki', format: 'der' });
  return {
    quote: makeQuote(template),
    values: [makeValues()],
    mrConfigId,
    at: now,
    roots: [createHash('sha256').update(publicKey).digest('hex')],
    quotingEnclave,
    tcbInfos: [signDocument('tcbInfo', makeTcbInfo())],
    qeIdentities: [signDocument('enclaveIdentity', makeQeIdentity())],
    certificates: [makeSigner(), makeRoot()],
    lists: makeLists(),
  };
}

export function verifyCase(given: TdxCase): TdxVerification {
  const { quote, values, tcbInfos, qeIdentities, certificates, lists, ...expectation } = given;
  const files = [...tcbInfos, ...qeIdentities, ...certificates, ...lists];
  const collateral = parseCollateral(new Map(files.map((bytes, index) => [`${index}`, bytes])));
  return verifyTdx(quote, {
    ...expectation,
    reportData,
    values: values.length === 0 ? [] : parseTdxValues(values),
    collateral,
  });
}

function certification(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16LE(type, 0);
  head.writeUInt32LE(data.length, 2);
  return Buffer.concat([head, data]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function signRaw(data: Uint8Array, key: KeyObject): Buffer {
  return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
}

/** The two coordinates of the public key of a private key. */
function point(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-64);
}

function ecKeyPair(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}
