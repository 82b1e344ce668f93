/** What a sealed secret begins with (docs/coco-facts.md, "Sealed secrets"). */
export const sealedPrefix = 'sealed.';

/** A sealed secret has at most this many bytes: one of a key broker's resources with a signature. */
export const maxSealedBytes: number = 1024 * 1024;

export function isSealed(text: string): boolean {
  return text.startsWith(sealedPrefix);
}
