import { ImageError } from '../errors/image-error.js';
import { Fields } from '../json/fields.js';
import { type Digest, isDigest } from '../reference/digest.js';

/** What a manifest says about a blob or another manifest. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly annotations: ReadonlyMap<string, string>;
}

/** Parses a document of an image, with the error of what is malformed in it. */
export function parseDocument(bytes: Uint8Array, what: string): Fields {
  return Fields.parse(bytes, what, (text) => new ImageError('manifest-invalid', text));
}

/** Throws an ImageError. */
export function parseDescriptor(fields: Fields): Descriptor {
  const digest = fields.string('digest');
  if (!isDigest(digest)) throw fields.error('digest', 'is not a sha256 or sha512 digest');
  // The bytes would come from another server, and be of the host's choice in all but the digest.
  if (fields.has('urls')) throw new ImageError('manifest-unsupported', `${digest} has urls: a foreign layer`);
  return {
    mediaType: fields.string('mediaType'),
    digest,
    size: fields.size('size'),
    annotations: fields.stringMap('annotations'),
  };
}
