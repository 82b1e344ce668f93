import { DerReader, Tag } from '@kata-agent/x509';
import { type ChainCertificate, issuanceFault, parseChainCertificate } from '../chain/chain-certificate.js';
import { amdSignatures } from '../chain/signature-scheme.js';
import { EvidenceFormError } from '../evidence-error.js';
import { mapParts, type SnpProduct, type SnpTcb, type TcbPart } from './tcb.js';

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

/**
 * AMD's roots: the second certificate of `https://kdsintf.amd.com/vcek/v1/<product>/cert_chain`, which is also the second of
 * `/vlek/v1/<product>/cert_chain`. Compared in three copies of these files: go-sev-guest 0.15, the sev crate 7, Trustee.
 */
export const amdRoots: readonly SnpRoot[] = [
  { product: 'Milan', spki: '9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9' },
  { product: 'Genoa', spki: '429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831' },
  { product: 'Turin', spki: '4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08' },
];

/** The certificates of a report, as far as there are any. */
export interface SnpChain {
  readonly key: ChainCertificate | undefined;
  readonly signer: ChainCertificate | undefined;
  readonly root: ChainCertificate | undefined;
  /** The product of the root, if that is one of AMD's. */
  readonly product: SnpProduct | undefined;
  /** Certificates that cannot be read. */
  readonly faults: readonly string[];
}

/** A table of the host has four, a directory of the caller all of AMD's. */
const maxCertificates = 64;

/**
 * Finds the chain of a report among certificates in any order: a key, a certificate with the name of its issuer, and a
 * root. Of several with the right name it takes one that verifies. Throws an EvidenceFormError for too many certificates.
 */
export function findSnpChain(
  certificates: readonly Uint8Array[],
  roots: readonly SnpRoot[],
  signed: (key: ChainCertificate) => boolean,
): SnpChain {
  if (certificates.length > maxCertificates)
    throw new EvidenceFormError(
      `there are ${certificates.length} certificates; at most ${maxCertificates} are read`,
    );
  const { read, faults } = readAll(certificates);
  const key = prefer(
    read.filter((each) => endorsementKind(each) !== undefined),
    signed,
  );
  const signer = issuerOf(key, read, () => true);
  const root = issuerOf(signer, read, ({ spki }) => roots.some((each) => each.spki === spki));
  const product = roots.find(({ spki }) => spki === root?.spki)?.product;
  return { key, signer, root, product, faults };
}

/** Returns why a chain does not lead from the key to its root; undefined if it does. */
export function snpChainFault({ key, signer, root, product, faults }: SnpChain): string | undefined {
  const missing =
    key === undefined
      ? 'VCEK or VLEK'
      : signer === undefined
        ? 'ASK or ASVK'
        : root === undefined
          ? 'ARK'
          : '';
  if (key === undefined || signer === undefined || root === undefined)
    return [`there is no certificate of the ${missing}`, ...faults].join('; ');
  const kind = endorsementKind(key);
  if (kind !== undefined && product !== undefined && signer.commonName !== signerName(kind, product))
    return `the ${kind} was issued by ${signer.commonName}, not by ${signerName(kind, product)}`;
  return (
    (key.authority ? `the certificate ${key.commonName} is one of an authority` : undefined) ??
    issuanceFault(root, root, amdSignatures) ??
    issuanceFault(signer, root, amdSignatures) ??
    issuanceFault(key, signer, amdSignatures)
  );
}

function readAll(
  certificates: readonly Uint8Array[],
): Pick<SnpChain, 'faults'> & { readonly read: ChainCertificate[] } {
  const read: ChainCertificate[] = [];
  const faults: string[] = [];
  for (const bytes of certificates) {
    try {
      read.push(parseChainCertificate(bytes));
    } catch (error) {
      if (!(error instanceof EvidenceFormError)) throw error;
      faults.push(error.message);
    }
  }
  return { read, faults };
}

function issuerOf(
  subject: ChainCertificate | undefined,
  certificates: readonly ChainCertificate[],
  accepted: (issuer: ChainCertificate) => boolean,
): ChainCertificate | undefined {
  if (subject === undefined) return undefined;
  const named = certificates.filter((each) => Buffer.compare(each.subject, subject.issuer) === 0);
  return prefer(named, (each) => accepted(each) && issuanceFault(subject, each, amdSignatures) === undefined);
}

function prefer<Item>(items: readonly Item[], preferred: (item: Item) => boolean): Item | undefined {
  return items.find(preferred) ?? items[0];
}

/** The root of a product's chains (ARK). */
export interface SnpRoot {
  readonly product: SnpProduct;
  /** SHA-256 of its public key (SubjectPublicKeyInfo), in hex. */
  readonly spki: string;
}

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

/** Returns the kind of key that a certificate is named for; undefined for other certificates. */
function endorsementKind({ commonName }: ChainCertificate): EndorsementKind | undefined {
  if (commonName === 'SEV-VCEK') return 'VCEK';
  return commonName === 'SEV-VLEK' ? 'VLEK' : undefined;
}

/** The common name of the authority that issues such keys. */
function signerName(kind: EndorsementKind, product: SnpProduct): string {
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
