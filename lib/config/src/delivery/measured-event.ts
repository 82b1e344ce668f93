import { createHash } from 'node:crypto';
import type { NamedFile } from '../listener.js';

/** Domain and operation, the first two words of an entry. */
const domainAndOperation = 'urn:kata-agent Configuration';

/** The tag of such an entry in a TCG log: "AAEL". */
const tag = 0x4141454c;

/**
 * Encodes what is measured of a configuration: its digest and those of its documents, in order, as lower-case hex of
 * SHA-256, and those of the files that they name, by key. The result is a Confidential Containers event log entry (`DOMAIN OPERATION CONTENT`, content in canonical
 * JSON, RFC 8785) as the data of a TCG EV_EVENT_TAG event. Paths and sources are left out, so the same documents give
 * the same bytes on any machine and a register can be predicted.
 */
export function measuredEvent(configuration: {
  readonly digest: string;
  readonly documents: readonly { readonly sha256: string }[];
  readonly files?: readonly Pick<NamedFile, 'key' | 'sha256'>[];
}): Uint8Array {
  const documents = configuration.documents.map(({ sha256 }) => `sha256:${sha256}`);
  // With sorted keys and plain ASCII the output of JSON.stringify is canonical.
  const files = (configuration.files ?? []).map(({ key, sha256 }) => `${key}=sha256:${sha256}`);
  const digest = `sha256:${configuration.digest}`;
  const content = JSON.stringify({ digest, documents, ...(files.length === 0 ? {} : { files }) });
  const entry = Buffer.from(`${domainAndOperation} ${content}`);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(tag, 0);
  header.writeUInt32LE(entry.length, 4);
  return new Uint8Array(Buffer.concat([header, entry]));
}

export type RegisterAlgorithm = 'sha256' | 'sha384' | 'sha512';

/** Returns the digest that is extended into a register of this algorithm. */
export function measuredDigest(event: Uint8Array, algorithm: RegisterAlgorithm): string {
  return createHash(algorithm).update(event).digest('hex');
}

/** Predicts a register's value: zeros extended by this event alone. */
export function foretoldRegister(event: Uint8Array, algorithm: RegisterAlgorithm): string {
  const digest = Buffer.from(measuredDigest(event, algorithm), 'hex');
  return createHash(algorithm).update(Buffer.alloc(digest.length)).update(digest).digest('hex');
}

/**
 * Returns the configuration's digest: SHA-256 over the documents' digests, one per line, base first, and then those of the
 * files that they name, each after its key and `=`, sorted by key. Lower-case hex.
 */
export function configurationDigest(
  documents: readonly { readonly sha256: string }[],
  files: readonly Pick<NamedFile, 'key' | 'sha256'>[] = [],
): string {
  const lines = [
    ...documents.map(({ sha256 }) => sha256),
    ...files.map(({ key, sha256 }) => `${key}=${sha256}`),
  ];
  const list = lines.map((line) => `${line}\n`).join('');
  return createHash('sha256').update(list).digest('hex');
}
