import { ByteReader } from '../bytes/byte-reader.js';
import { allZero, toHex } from '../bytes/hex.js';

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
