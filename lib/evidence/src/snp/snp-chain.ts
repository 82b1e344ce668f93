import { type ChainCertificate, issuanceFault, parseChainCertificate } from '../chain/chain-certificate.js';
import { amdSignatures } from '../chain/signature-scheme.js';
import { EvidenceFormError } from '../evidence-error.js';
import { endorsementKind, signerName } from './endorsement.js';
import type { SnpProduct } from './product.js';
import type { SnpRoot } from './roots.js';

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
