import {
  type Digest,
  formatReference,
  ImageError,
  type ImageReference,
  isDigest,
  matchesPattern,
  parseReferencePattern,
  quoted,
  type ReferencePattern,
} from '@kata-agent/registry';
import type { KeylessSettings } from './keyless/keyless-verifier.js';
import { keylessCheck } from './keyless/load-keyless.js';
import { type PublicKey, parsePublicKey } from './public-key.js';

export type SignatureFormat = 'bundle' | 'simple-signing';

/**
 * Images of a scope need a signature by one of the keys, or without a key by one of the identities, in one of the formats; or are those
 * with the digests.
 */
export type SignatureRequirement = { readonly scope: ReferencePattern } & (
  | { readonly keys: readonly PublicKey[]; readonly formats: readonly SignatureFormat[] }
  | { readonly keyless: KeylessSettings; readonly formats: readonly SignatureFormat[] }
  | { readonly digests: readonly Digest[] }
);

/** An entry of `signatures`, with its keys read. */
export interface SignatureSettings {
  readonly scope: string;
  /** Each in PEM. */
  readonly keys: readonly string[];
  readonly formats: readonly string[];
  /** In place of keys. */
  readonly keyless?: KeylessSettings;
  /** In place of keys and formats. */
  readonly digests?: readonly string[];
}

/** The signatures that one document demands. */
export interface SignatureList {
  readonly entries: readonly SignatureSettings[];
  /** An image that no scope of the entries matches is refused. Else the list demands nothing of it. */
  readonly closed: boolean;
}

/** Throws an ImageError. */
export function parseSignaturePolicy(entries: readonly SignatureSettings[]): readonly SignatureRequirement[] {
  return entries.map(({ scope, keys, formats, keyless, digests }) => {
    const invalid = (why: string): ImageError =>
      new ImageError('settings-invalid', `signatures of ${quoted(scope)} ${why}`);
    if (digests !== undefined) {
      const malformed = digests.find((digest) => !isDigest(digest));
      if (malformed !== undefined) throw invalid(`have ${quoted(malformed)}, which is not a digest`);
      return { scope: parseReferencePattern(scope), digests: digests.filter(isDigest) };
    }
    if (formats.length === 0) throw invalid('have no format: write bundle, simple-signing, or both');
    const signed = {
      scope: parseReferencePattern(scope),
      formats: formats.map((format) => {
        if (format === 'bundle' || format === 'simple-signing') return format;
        throw invalid(`have the format ${quoted(format)}: write bundle or simple-signing`);
      }),
    };
    if (keyless !== undefined) {
      if (keyless.identities.length === 0) throw invalid('have no identity');
      return { ...signed, keyless };
    }
    if (keys.length === 0) throw invalid('have no key: write keys, or trusted_root and identities');
    return { ...signed, keys: keys.map(parsePublicKey) };
  });
}

/** Checks what signatures without a key need, which is loaded for it. Rejects with an ImageError. */
export async function checkKeylessSettings(entries: readonly SignatureSettings[]): Promise<void> {
  for (const { keyless } of entries) if (keyless !== undefined) await keylessCheck(keyless);
}

/** Returns the requirements of each scope that matches an image. Throws an ImageError if a closed list has no such scope. */
export function requirementsFor(
  reference: ImageReference,
  lists: readonly SignatureList[],
): readonly SignatureRequirement[] {
  return lists.flatMap(({ entries, closed }) => {
    const matching = parseSignaturePolicy(entries).filter(({ scope }) => matchesPattern(scope, reference));
    if (closed && matching.length === 0)
      throw new ImageError(
        'signature-scope-missing',
        `${formatReference(reference)}: ${entries.length === 0 ? 'signatures has no scope' : 'no scope of signatures matches'}${
          lists.length === 1 ? '' : ' in one of the documents'
        }`,
      );
    return matching;
  });
}
