import { DerReader, Tag } from '@kata-agent/x509';
import { type ChainCertificate, issuanceFault, parseChainCertificate } from '../chain/chain-certificate.js';
import { intelSignatures } from '../chain/signature-scheme.js';
import { EvidenceFormError } from '../evidence-error.js';

/**
 * SHA-256 of the public key (SubjectPublicKeyInfo) of the Intel SGX Root CA, in hex:
 * `https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer`. Compared in two copies of
 * this file: go-tdx-guest 0.3, dcap-qvl 0.5.
 */
export const intelRoots: readonly string[] = [
  'a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e',
];

export const intelQuotingEnclave: QuotingEnclave = {
  mrSigner: 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5',
  isvProdId: 2,
};

const sgx = '1.2.840.113741.1.13.1';

const what = 'the SGX extension of the PCK certificate';

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

/** What a PCK certificate says of its platform (Intel SGX PCK certificate and CRL profile, "SGX extensions"). */
export interface Platform {
  /** Family, model, stepping, platform type and custom SKU: 6 bytes, in hex. */
  readonly fmspc: string;
  /** 2 bytes, in hex. */
  readonly pceId: string;
  /** The 16 SVNs of SGX TCB components. */
  readonly componentSvns: readonly number[];
  readonly pceSvn: number;
}

/** Reads the SGX extension of a PCK certificate. Throws an EvidenceFormError. */
export function readPlatform({ extensions }: ChainCertificate): Platform {
  const value = extensions.get(sgx)?.value;
  if (value === undefined) throw new EvidenceFormError('the PCK certificate has no SGX extension');
  try {
    const members = readMembers(value);
    const tcb = readMembers(member(members, '2', Tag.Sequence).whole);
    return {
      fmspc: hex(member(members, '4', Tag.OctetString).content, 6),
      pceId: hex(member(members, '3', Tag.OctetString).content, 2),
      componentSvns: Array.from({ length: 16 }, (_, index) =>
        readSvn(member(tcb, `2.${index + 1}`, Tag.Integer).content, 1),
      ),
      pceSvn: readSvn(member(tcb, '2.17', Tag.Integer).content, 2),
    };
  } catch (error) {
    throw new EvidenceFormError(`${what} cannot be read: ${(error as Error).message}`);
  }
}

type Members = ReadonlyMap<string, ReturnType<DerReader['any']>>;

/** Returns the values of a sequence of pairs of object identifier and value. */
function readMembers(whole: Uint8Array): Members {
  const members = new Map<string, ReturnType<DerReader['any']>>();
  const outer = new DerReader(whole);
  const list = outer.inside(Tag.Sequence, what);
  outer.end(what);
  while (list.next !== undefined) {
    const pair = list.inside(Tag.Sequence, what);
    const oid = pair.objectIdentifier(what);
    const value = pair.any(what);
    pair.end(what);
    if (members.has(oid)) throw new EvidenceFormError(`${oid} occurs twice`);
    members.set(oid, value);
  }
  return members;
}

function member(members: Members, id: string, tag: number): ReturnType<DerReader['any']> {
  const value = members.get(`${sgx}.${id}`);
  if (value?.tag !== tag) throw new EvidenceFormError(`${sgx}.${id} is missing or of another type`);
  return value;
}

function hex(content: Uint8Array, length: number): string {
  if (content.length !== length) throw new EvidenceFormError(`${content.length} bytes instead of ${length}`);
  return Buffer.from(content).toString('hex');
}

/** Reads a non-negative integer of at most some octets. */
function readSvn(content: Uint8Array, octets: number): number {
  const [first = 0x80] = content;
  if (first >= 0x80 || content.length > octets + 1 || (content.length > octets && first !== 0))
    throw new EvidenceFormError('an SVN is out of range');
  return content.reduce((sum, octet) => sum * 256 + octet, 0);
}

/** MRSIGNER and ISVPRODID of Intel's TD quoting enclave, as Intel's signed identity `TD_QE` has them. */
export interface QuotingEnclave {
  readonly mrSigner: string;
  readonly isvProdId: number;
}
