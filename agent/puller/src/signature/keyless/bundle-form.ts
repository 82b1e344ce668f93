import type { Fields } from '../../json/fields.js';

const maxEntries = 4;
const maxTimestamps = 4;
const maxHashes = 64;
const maxCheckpointLength = 8_192;
const maxCheckpointSignatures = 16;
const number = /^\d{1,19}$/;

/**
 * Returns why a bundle is not given to the library; undefined: it is. Bounds what the library does without bounds before it has verified
 * anything: it compares the name of each signature of a checkpoint with a log's as a regular expression (a name of 50 characters keeps
 * it busy for minutes), and takes any number of entries, timestamps and digits. Members of another type throw the error of the fields.
 */
export function faultOfForm(material: Fields): string | undefined {
  const entries = material.has('tlogEntries') ? material.objects('tlogEntries', maxEntries) : [];
  if (entries.length === 0) return 'without an entry of a transparency log';
  for (const entry of entries) {
    // A bundle of an attachment has none; the library demands one of all others.
    const proof = entry.optionalObject('inclusionProof');
    proof?.optionalStrings('hashes', maxHashes);
    const numbers = [
      ...[entry, proof].map((fields) => fields?.optionalString('logIndex')),
      entry.optionalString('integratedTime'),
      proof?.optionalString('treeSize'),
    ];
    if (!numbers.every((text) => text === undefined || number.test(text))) return 'malformed';
    if (proof !== undefined && !isPlainCheckpoint(proof.object('checkpoint').string('envelope')))
      return 'malformed';
  }
  material.optionalObject('timestampVerificationData')?.array('rfc3161Timestamps', maxTimestamps);
  return undefined;
}

/** Reports whether each name of a signature has only characters that are themselves in a regular expression, or `.`. */
function isPlainCheckpoint(envelope: string): boolean {
  if (envelope.length > maxCheckpointLength) return false;
  const names = [...envelope.matchAll(/\u2014\s+(\S+)/g)].map(([, name = '']) => name);
  return names.length <= maxCheckpointSignatures && names.every((name) => /^[\w.:/-]+$/.test(name));
}
