import { DerReader, Tag } from '@kata-agent/x509';
import type { ChainCertificate } from '../chain/chain-certificate.js';
import { EvidenceFormError } from '../evidence-error.js';
import type { SnpProduct } from './product.js';
import { mapParts, type SnpTcb, type TcbPart } from './tcb.js';

/** The key of one chip, or one that AMD loads into the chips of a cloud provider. */
export type EndorsementKind = 'VCEK' | 'VLEK';

/** What the certificate of an endorsement key says of it (AMD 57230, "VCEK Certificate Format" and its VLEK equal). */
export interface Endorsement {
  readonly kind: EndorsementKind;
  readonly tcb: SnpTcb;
  /** Of a VCEK: 64 bytes, or 8 for Turin. */
  readonly chipId: Uint8Array | undefined;
  /** Of a VLEK: the cloud provider. */
  readonly providerId: string | undefined;
}

const amd = '1.3.6.1.4.1.3704.1';
const levelOids: Readonly<Record<TcbPart, string>> = {
  bootloader: `${amd}.3.1`,
  tee: `${amd}.3.2`,
  snp: `${amd}.3.3`,
  microcode: `${amd}.3.8`,
  fmc: `${amd}.3.9`,
};
const reservedLevelOids: readonly string[] = [4, 5, 6, 7].map((number) => `${amd}.3.${number}`);
const hardwareIdOid = `${amd}.4`;
const providerIdOid = `${amd}.5`;

/** Returns the kind of key that a certificate is named for; undefined for other certificates. */
export function endorsementKind({ commonName }: ChainCertificate): EndorsementKind | undefined {
  if (commonName === 'SEV-VCEK') return 'VCEK';
  return commonName === 'SEV-VLEK' ? 'VLEK' : undefined;
}

/** The common name of the authority that issues such keys. */
export function signerName(kind: EndorsementKind, product: SnpProduct): string {
  return kind === 'VCEK' ? `SEV-${product}` : `SEV-VLEK-${product}`;
}

/** Reads the extensions of a certificate. Throws an EvidenceFormError. */
export function readEndorsement(certificate: ChainCertificate, product: SnpProduct): Endorsement {
  const kind = endorsementKind(certificate);
  if (kind === undefined) throw fault(`${certificate.commonName} is neither SEV-VCEK nor SEV-VLEK`);
  const { extensions } = certificate;
  const value = (oid: string): Uint8Array => {
    const extension = extensions.get(oid);
    if (extension === undefined) throw fault(`the certificate of the ${kind} has no extension ${oid}`);
    return extension.value;
  };
  for (const oid of reservedLevelOids)
    if (extensions.has(oid) && readLevel(value(oid), oid) !== 0)
      throw fault(`the reserved level ${oid} is not 0`);
  const tcb = mapParts(product, (part) => readLevel(value(levelOids[part]), levelOids[part]));
  if (extensions.has(kind === 'VCEK' ? providerIdOid : hardwareIdOid))
    throw fault(`the certificate of the ${kind} has an extension of the other kind of key`);
  if (kind === 'VLEK') return { kind, tcb, chipId: undefined, providerId: readText(value(providerIdOid)) };
  const chipId = readHardwareId(value(hardwareIdOid), product === 'Turin' ? 8 : 64);
  return { kind, tcb, chipId, providerId: undefined };
}

function readLevel(value: Uint8Array, oid: string): number {
  const { content } = single(value, Tag.Integer, oid);
  const octets = content[0] === 0 && content.length === 2 ? content.subarray(1) : content;
  // An integer of one octet from 0x80 on is negative.
  if (octets.length !== 1 || (content.length === 1 && (content[0] ?? 0) >= 0x80))
    throw fault(`the level ${oid} is not 0 to 255`);
  return octets[0] ?? 0;
}

function readText(value: Uint8Array): string {
  const text = Buffer.from(single(value, Tag.Ia5String, providerIdOid).content).toString('latin1');
  if (!/^[ -~]+$/.test(text)) throw fault('the provider in the certificate is not visible ASCII');
  return text;
}

/** AMD writes the bytes alone; wrapped in an OCTET STRING, as DER would have it, they are accepted too. */
function readHardwareId(value: Uint8Array, length: number): Uint8Array {
  const bytes = value.length === length ? value : single(value, Tag.OctetString, hardwareIdOid).content;
  if (bytes.length !== length) throw fault(`the chip id in the certificate does not have ${length} bytes`);
  return bytes;
}

function single(value: Uint8Array, tag: number, oid: string): { readonly content: Uint8Array } {
  try {
    const reader = new DerReader(value);
    const read = reader.value(tag, `extension ${oid}`);
    reader.end(`extension ${oid}`);
    return read;
  } catch (error) {
    throw fault((error as Error).message);
  }
}

function fault(message: string): EvidenceFormError {
  return new EvidenceFormError(message);
}
