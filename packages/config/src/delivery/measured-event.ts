import { createHash } from 'node:crypto';

/** Who speaks and what happened, the first two words of an entry. */
const domainAndOperation = 'urn:kata-agent Configuration';

/** The tag of an entry of this form in a TCG log: "AAEL". */
const tag = 0x4141454c;

/**
 * What is measured of a configuration: its digest and those of its documents, in their order, as lower-case hex of
 * SHA-256. An entry of the Confidential Containers event log (`DOMAIN OPERATION CONTENT`, content in canonical JSON, RFC
 * 8785) as the data of a TCG EV_EVENT_TAG event. No paths and no sources: the same documents give the same bytes on any
 * machine, so that a register can be foretold.
 */
export function measuredEvent(configuration: {
  readonly digest: string;
  readonly documents: readonly { readonly sha256: string }[];
}): Uint8Array {
  const documents = configuration.documents.map(({ sha256 }) => `sha256:${sha256}`);
  // Keys in order and plain ASCII: what JSON.stringify writes is canonical.
  const content = JSON.stringify({ digest: `sha256:${configuration.digest}`, documents });
  const entry = Buffer.from(`${domainAndOperation} ${content}`);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(tag, 0);
  header.writeUInt32LE(entry.length, 4);
  return new Uint8Array(Buffer.concat([header, entry]));
}

export type RegisterAlgorithm = 'sha256' | 'sha384' | 'sha512';

/** What is extended into a register of this algorithm: the digest of the event's data. */
export function measuredDigest(event: Uint8Array, algorithm: RegisterAlgorithm): string {
  return createHash(algorithm).update(event).digest('hex');
}

/** What a register that was all zeros holds once nothing but this event was extended into it. */
export function foretoldRegister(event: Uint8Array, algorithm: RegisterAlgorithm): string {
  const digest = Buffer.from(measuredDigest(event, algorithm), 'hex');
  return createHash(algorithm).update(Buffer.alloc(digest.length)).update(digest).digest('hex');
}

/** The configuration's digest: SHA-256 over its documents' digests, one a line, base first. Lower-case hex. */
export function configurationDigest(documents: readonly { readonly sha256: string }[]): string {
  const list = documents.map(({ sha256 }) => `${sha256}\n`).join('');
  return createHash('sha256').update(list).digest('hex');
}
