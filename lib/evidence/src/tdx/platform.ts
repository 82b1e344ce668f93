import { DerReader, Tag } from '@kata-agent/x509';
import type { ChainCertificate } from '../chain/chain-certificate.js';
import { EvidenceFormError } from '../evidence-error.js';

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

const sgx = '1.2.840.113741.1.13.1';
const what = 'the SGX extension of the PCK certificate';

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
