import { allZero, ByteReader, toHex } from '../byte-reader.js';
import type { Cpu } from './tcb.js';

const entryBytes = 24;

/** More occur in no table: a VCEK, a VLEK, their authorities, and data of a cloud provider. */
const maxEntries = 16;

/** GUIDs of certificates, in the order of their bytes (AMD 56421, "SNP Extended Guest Request"). */
const certificateIds: ReadonlySet<string> = new Set([
  '8d75da6364e66445adc5f4b93be8accd', // VCEK
  'c24b07a85aa23e48aae639c045a0b8a1', // VLEK
  '79b3b74eacbbe44fa02f05aef327c782', // ASK, or ASVK
  'a406b4c003a8524997433fb6014cd0ae', // ARK
]);

/** An ATTESTATION_REPORT of versions 2 to 5 (AMD 56860, "Attestation"). No signature is verified. */
export interface SnpReport {
  readonly version: number;
  readonly guestSvn: number;
  readonly policy: bigint;
  readonly familyId: Uint8Array;
  readonly imageId: Uint8Array;
  readonly vmpl: number;
  readonly signatureAlgorithm: number;
  /** TCB_VERSIONs: their layout depends on the product. */
  readonly tcb: Readonly<Record<TcbField, Uint8Array>>;
  readonly platformInfo: bigint;
  readonly authorKeyEnabled: boolean;
  readonly chipKeyMasked: boolean;
  /** 0: VCEK, 1: VLEK, 7: not signed. */
  readonly signingKey: number;
  readonly reportData: Uint8Array;
  readonly measurement: Uint8Array;
  readonly hostData: Uint8Array;
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  readonly reportId: Uint8Array;
  readonly reportIdOfMigrationAgent: Uint8Array;
  /** Since version 3. */
  readonly cpu: Cpu | undefined;
  readonly chipId: Uint8Array;
  /** Firmware versions as `major.minor.build`. */
  readonly currentFirmware: string;
  readonly committedFirmware: string;
  /** Since version 5: the mitigations that were in place at launch, and those that are now. */
  readonly launchMitigations: bigint | undefined;
  readonly currentMitigations: bigint | undefined;
  /** The bytes that the signature covers. */
  readonly signed: Uint8Array;
  /** r and s, big-endian, 48 bytes each; undefined for an unknown signature algorithm. */
  readonly signature: Uint8Array | undefined;
}

/** The TCB_VERSIONs of a report: of the signing key, now, not to be rolled back, and at launch. */
export const tcbFields = ['reported', 'current', 'committed', 'launch'] as const;

type TcbField = (typeof tcbFields)[number];

const snpReportBytes = 1184;
const signedBytes = 0x2a0;

/** SignatureAlgorithm: ECDSA with P-384 and SHA-384. */
const ecdsaP384 = 1;
/** Each number of the signature has 72 bytes, little-endian. */
const integerBytes = 72;
const p384Bytes = 48;

/** Parses a report of exactly 1184 bytes. Throws an EvidenceFormError. */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  const reader = new ByteReader(bytes, 'the SNP report');
  if (bytes.length !== snpReportBytes)
    throw reader.error(`it has ${bytes.length} bytes, not ${snpReportBytes}`);
  const version = reader.u32('VERSION');
  if (version < 2 || version > 5) throw reader.error(`version ${version} is not 2 to 5`);
  const guestSvn = reader.u32('GUEST_SVN');
  const policy = reader.u64('POLICY');
  const familyId = reader.take(16, 'FAMILY_ID');
  const imageId = reader.take(16, 'IMAGE_ID');
  const vmpl = reader.u32('VMPL');
  const signatureAlgorithm = reader.u32('SIGNATURE_ALGO');
  const current = reader.take(8, 'CURRENT_TCB');
  const platformInfo = reader.u64('PLATFORM_INFO');
  const key = reader.u32('the key information');
  if (key >>> 5 !== 0) throw reader.error('reserved bits of the key information are set');
  reader.zeros(4, 'the field after the key information');
  const reportData = reader.take(64, 'REPORT_DATA');
  const measurement = reader.take(48, 'MEASUREMENT');
  const hostData = reader.take(32, 'HOST_DATA');
  const idKeyDigest = reader.take(48, 'ID_KEY_DIGEST');
  const authorKeyDigest = reader.take(48, 'AUTHOR_KEY_DIGEST');
  const reportId = reader.take(32, 'REPORT_ID');
  const reportIdOfMigrationAgent = reader.take(32, 'REPORT_ID_MA');
  const reported = reader.take(8, 'REPORTED_TCB');
  const cpu = readCpu(reader, version);
  reader.zeros(21, 'the field after CPUID_STEP');
  const chipId = reader.take(64, 'CHIP_ID');
  const committed = reader.take(8, 'COMMITTED_TCB');
  const currentFirmware = readFirmware(reader, 'CURRENT');
  const committedFirmware = readFirmware(reader, 'COMMITTED');
  const launch = reader.take(8, 'LAUNCH_TCB');
  const launchMitigations = readMitigations(reader, version, 'LAUNCH_MIT_VECTOR');
  const currentMitigations = readMitigations(reader, version, 'CURRENT_MIT_VECTOR');
  reader.zeros(signedBytes - reader.at, 'the field before the signature');
  return {
    version,
    guestSvn,
    policy,
    familyId,
    imageId,
    vmpl,
    signatureAlgorithm,
    tcb: { reported, current, committed, launch },
    platformInfo,
    authorKeyEnabled: (key & 1) !== 0,
    chipKeyMasked: (key & 2) !== 0,
    signingKey: (key >>> 2) & 7,
    reportData,
    measurement,
    hostData,
    idKeyDigest,
    authorKeyDigest,
    reportId,
    reportIdOfMigrationAgent,
    cpu,
    chipId,
    currentFirmware,
    committedFirmware,
    launchMitigations,
    currentMitigations,
    signed: bytes.subarray(0, signedBytes),
    signature: signatureAlgorithm === ecdsaP384 ? readSignature(reader) : undefined,
  };
}

function readCpu(reader: ByteReader, version: number): Cpu | undefined {
  if (version < 3) {
    reader.zeros(3, 'the field after REPORTED_TCB');
    return undefined;
  }
  return {
    family: reader.u8('CPUID_FAM_ID'),
    model: reader.u8('CPUID_MOD_ID'),
    stepping: reader.u8('CPUID_STEP'),
  };
}

function readFirmware(reader: ByteReader, field: string): string {
  const [build, minor, major] = reader.take(3, field);
  reader.zeros(1, `the field after ${field}_MAJOR`);
  return `${major}.${minor}.${build}`;
}

function readMitigations(reader: ByteReader, version: number, field: string): bigint | undefined {
  if (version >= 5) return reader.u64(field);
  reader.zeros(8, 'the field after LAUNCH_TCB');
  return undefined;
}

function readSignature(reader: ByteReader): Uint8Array {
  const r = readInteger(reader, 'r of the signature');
  const s = readInteger(reader, 's of the signature');
  reader.zeros(reader.left, 'the field after the signature');
  return Buffer.concat([r, s]);
}

function readInteger(reader: ByteReader, field: string): Uint8Array {
  const integer = reader.take(p384Bytes, field);
  reader.zeros(integerBytes - p384Bytes, `the upper part of ${field}`);
  return Buffer.from(integer).reverse();
}

/**
 * Returns the certificates of a certificate table, which the host passes beside a report (`auxblob` of configfs-tsm). Other
 * entries are ignored. Nothing in it is believed. Throws an EvidenceFormError.
 */
export function parseSnpCertificateTable(bytes: Uint8Array): readonly Uint8Array[] {
  const certificates: Uint8Array[] = [];
  const reader = new ByteReader(bytes, 'the certificate table');
  for (let entry = 0; ; entry += 1) {
    const id = reader.take(16, 'an entry');
    const offset = reader.u32('an entry');
    const length = reader.u32('an entry');
    if (allZero(id)) return certificates;
    if (entry === maxEntries) throw reader.error(`it has more than ${maxEntries} entries`);
    if (offset < (entry + 1) * entryBytes || offset + length > bytes.length)
      throw reader.error(`entry ${entry} is not inside of it`);
    if (certificateIds.has(toHex(id))) certificates.push(bytes.subarray(offset, offset + length));
  }
}
