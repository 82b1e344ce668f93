import { type ChainCertificate, issuanceFault, parseChainCertificate } from '../chain/chain-certificate.js';
import { intelSignatures } from '../chain/signature-scheme.js';
import { EvidenceFormError } from '../evidence-error.js';

/** The chain of a quote: PCK certificate, its issuer and the root, in this order. */
export interface PckChain {
  /** Empty if one cannot be read. */
  readonly certificates: readonly ChainCertificate[];
  readonly fault: string | undefined;
  /** Why the last certificate is not Intel's root; undefined if it is. */
  readonly rootFault: string | undefined;
}

const pckName = 'Intel SGX PCK Certificate';
const authorityNames: readonly string[] = ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'];

/** Reads the certificates of a quote. */
export function findPckChain(certificates: readonly Uint8Array[], roots: readonly string[]): PckChain {
  try {
    const read = certificates.map(parseChainCertificate);
    return { certificates: read, fault: undefined, rootFault: rootFault(read[2], roots) };
  } catch (error) {
    if (!(error instanceof EvidenceFormError)) throw error;
    return { certificates: [], fault: error.message, rootFault: error.message };
  }
}

export function rootFault(root: ChainCertificate | undefined, roots: readonly string[]): string | undefined {
  if (root === undefined) return 'there is no certificate of a root';
  if (!roots.includes(root.spki)) return `the key of ${root.commonName} is not one of Intel's roots`;
  return issuanceFault(root, root, intelSignatures);
}

/** Returns why a chain does not lead from a PCK certificate to its last certificate; undefined if it does. */
export function pckChainFault({ certificates: [pck, authority, root], fault }: PckChain): string | undefined {
  if (pck === undefined || authority === undefined || root === undefined)
    return fault ?? 'the chain is not complete';
  if (pck.commonName !== pckName || pck.authority)
    return `the first certificate (${pck.commonName}) is not a ${pckName}`;
  if (!authorityNames.includes(authority.commonName))
    return `the second certificate (${authority.commonName}) is not one of ${authorityNames.join(', ')}`;
  return issuanceFault(authority, root, intelSignatures) ?? issuanceFault(pck, authority, intelSignatures);
}
