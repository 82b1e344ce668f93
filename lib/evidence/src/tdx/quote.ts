import { allZero, ByteReader, toHex } from '../byte-reader.js';
import { parsePemChain } from '../chain/chain-certificate.js';
import { EvidenceFormError } from '../evidence-error.js';

const qeReportBytes = 384;

const tdReportBytes = { '1.0': 584, '1.5': 648 } as const;

const measurementBytes = 48;

/** A quote of version 4 or 5 (Intel TDX DCAP quote generation library, appendix A). No signature is verified. */
export interface TdxQuote {
  readonly version: 4 | 5;
  readonly report: TdReport;
  /** Header and report: the bytes that the attestation key signed. */
  readonly signed: Uint8Array;
  /** r and s, big-endian, 32 bytes each. */
  readonly signature: Uint8Array;
  /** The coordinates of a point of P-256. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: QeReport;
  /** By the key of the PCK certificate; r and s. */
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthenticationData: Uint8Array;
  /** PCK certificate, its issuer and the root, in DER. They need no trust. */
  readonly certificates: readonly Uint8Array[];
}

const headerBytes = 48;
const teeTdx = 0x81;
const ecdsaP256 = 2;
const intelVendor = '939a7233f79c4ca9940a0db3957f0607';
/** Types of certification data: of a QE report, and of a PEM chain in that. */
const Certification = { qeReport: 6, pemChain: 5 } as const;

/**
 * Returns a quote without the zeros that hosts append to it: some pass a buffer of a fixed size. Throws an EvidenceFormError
 * if anything else follows, or if the quote is cut off.
 */
export function withoutPadding(bytes: Uint8Array): Uint8Array {
  const reader = new ByteReader(bytes, 'the TDX quote');
  readReport(reader);
  const length = reader.u32('the size of the signature data');
  reader.take(length, 'the signature data');
  const end = reader.at;
  if (!allZero(reader.take(reader.left, 'the padding'))) throw reader.error('bytes follow its end');
  return bytes.subarray(0, end);
}

/** Parses a quote without padding. Throws an EvidenceFormError. */
export function parseTdxQuote(bytes: Uint8Array): TdxQuote {
  const reader = new ByteReader(bytes, 'the TDX quote');
  const { version, report } = readReport(reader);
  const signed = bytes.subarray(0, reader.at);
  const length = reader.u32('the size of the signature data');
  if (length !== reader.left)
    throw reader.error(`its signature data has ${reader.left} bytes, not ${length}; help: remove padding`);
  const signature = reader.take(64, 'the signature');
  const attestationKey = reader.take(64, 'the attestation key');
  const certification = readCertification(reader, Certification.qeReport);
  reader.end();

  const inner = new ByteReader(certification, 'the QE report certification data of the TDX quote');
  const qeReport = parseQeReport(inner.take(qeReportBytes, 'the QE report'));
  const qeReportSignature = inner.take(64, 'the signature of the QE report');
  const qeAuthenticationData = inner.take(inner.u16('a size'), 'the QE authentication data');
  const chain = readCertification(inner, Certification.pemChain);
  inner.end();
  const certificates = parsePemChain(chain, 'the certificate chain of the TDX quote');
  if (certificates.length !== 3)
    throw new EvidenceFormError(`the TDX quote has ${certificates.length} certificates, not 3`);
  return {
    version,
    report,
    signed,
    signature,
    attestationKey,
    qeReport,
    qeReportSignature,
    qeAuthenticationData,
    certificates,
  };
}

function readReport(reader: ByteReader): Pick<TdxQuote, 'version' | 'report'> {
  const header = new ByteReader(reader.take(headerBytes, 'the header'), 'the header of the TDX quote');
  const version = header.u16('the version');
  if (version !== 4 && version !== 5) throw header.error(`version ${version} is neither 4 nor 5`);
  const keyType = header.u16('the type of the attestation key');
  if (keyType !== ecdsaP256)
    throw header.error(`the attestation key is of type ${keyType}, not ECDSA with P-256 (2)`);
  const tee = header.u32('the TEE type');
  if (tee !== teeTdx) throw header.error(`the TEE is of type ${tee}, not TDX (129)`);
  header.take(4, 'the reserved bytes');
  const vendor = toHex(header.take(16, 'the QE vendor'));
  if (vendor !== intelVendor) throw header.error(`the QE vendor is ${vendor}, not Intel`);
  header.take(20, 'the user data');
  header.end();
  if (version === 4)
    return { version, report: parseTdReport(reader.take(tdReportBytes['1.0'], 'the TD report'), '1.0') };
  const form = bodyForms[reader.u16('the type of the body')];
  if (form === undefined) throw reader.error('its body is neither a TD report 1.0 (2) nor 1.5 (3)');
  const size = reader.u32('the size of the body');
  if (size !== tdReportBytes[form])
    throw reader.error(`its body has ${size} bytes, not ${tdReportBytes[form]}`);
  return { version, report: parseTdReport(reader.take(size, 'the TD report'), form) };
}

const bodyForms: Readonly<Record<number, TdReport['form']>> = { 2: '1.0', 3: '1.5' };

function readCertification(reader: ByteReader, type: number): Uint8Array {
  const actual = reader.u16('the type of certification data');
  if (actual !== type) throw reader.error(`the certification data is of type ${actual}, not ${type}`);
  const length = reader.u32('the size of certification data');
  if (length !== reader.left)
    throw reader.error(`the certification data has ${reader.left} bytes, not ${length}`);
  return reader.take(length, 'the certification data');
}

/** The body of a quote: a TD report of TDX 1.0 or 1.5. */
export interface TdReport {
  readonly form: '1.0' | '1.5';
  /** SVNs of the TDX module and of what loaded it; byte 0 is the module's SVN, byte 1 its major version. */
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: bigint;
  readonly xfam: bigint;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtmrs: readonly Uint8Array[];
  readonly reportData: Uint8Array;
  /** Of 1.5: the SVNs since an update of the module without a restart. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  /** Of 1.5: the service TDs that are bound to this one. */
  readonly mrServiceTd: Uint8Array | undefined;
}

function parseTdReport(bytes: Uint8Array, form: TdReport['form']): TdReport {
  const reader = new ByteReader(bytes, 'the TD report');
  const measurement = (field: string): Uint8Array => reader.take(measurementBytes, field);
  const report: Omit<TdReport, 'teeTcbSvn2' | 'mrServiceTd'> = {
    form,
    teeTcbSvn: reader.take(16, 'TEE_TCB_SVN'),
    mrSeam: measurement('MRSEAM'),
    mrSignerSeam: measurement('MRSIGNERSEAM'),
    seamAttributes: reader.take(8, 'SEAMATTRIBUTES'),
    tdAttributes: reader.u64('TDATTRIBUTES'),
    xfam: reader.u64('XFAM'),
    mrTd: measurement('MRTD'),
    mrConfigId: measurement('MRCONFIGID'),
    mrOwner: measurement('MROWNER'),
    mrOwnerConfig: measurement('MROWNERCONFIG'),
    rtmrs: [0, 1, 2, 3].map((number) => measurement(`RTMR${number}`)),
    reportData: reader.take(64, 'REPORTDATA'),
  };
  const teeTcbSvn2 = form === '1.5' ? reader.take(16, 'TEE_TCB_SVN_2') : undefined;
  const mrServiceTd = form === '1.5' ? measurement('MRSERVICETD') : undefined;
  reader.end();
  return { ...report, teeTcbSvn2, mrServiceTd };
}

/** The report of the quoting enclave (QE): an SGX enclave report that binds the attestation key. */
export interface QeReport {
  /** The bytes that the key of the PCK certificate signed. */
  readonly signed: Uint8Array;
  /** 4 bytes. */
  readonly miscSelect: Uint8Array;
  /** 16 bytes: flags and XFRM. */
  readonly attributes: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Uint8Array;
}

/** Parses an enclave report. What it reserves is signed, and not compared. */
function parseQeReport(bytes: Uint8Array): QeReport {
  const reader = new ByteReader(bytes, 'the QE report');
  reader.take(16, 'CPUSVN');
  const miscSelect = reader.take(4, 'MISCSELECT');
  reader.take(28, 'a reserved field');
  const attributes = reader.take(16, 'ATTRIBUTES');
  reader.take(32, 'MRENCLAVE');
  reader.take(32, 'a reserved field');
  const mrSigner = reader.take(32, 'MRSIGNER');
  reader.take(96, 'a reserved field');
  const isvProdId = reader.u16('ISVPRODID');
  const isvSvn = reader.u16('ISVSVN');
  reader.take(60, 'a reserved field');
  const reportData = reader.take(64, 'REPORTDATA');
  reader.end();
  return { signed: bytes, miscSelect, attributes, mrSigner, isvProdId, isvSvn, reportData };
}
