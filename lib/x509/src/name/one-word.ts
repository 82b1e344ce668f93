/** What would end a word, or does not show where it ends. */
const separator = /[\s\p{C}\p{Z}]/u;

/**
 * Returns a name as one word, for texts where other words follow: a name with a space cannot pass for two of them. White space,
 * characters that do not show, and backslashes are pairs of hex digits, as in RFC 4514: `cn:Ann\20Smith`. Different names stay
 * different.
 */
export function oneWord(name: string): string {
  return name.replace(/[\\\s\p{C}\p{Z}]/gu, hexPairs);
}

/** As `oneWord`, of RFC 4514 text as `formatName` writes it: the result is text of the same name. */
export function subjectWord(subject: string): string {
  return subject.replace(/\\([^])|[\s\p{C}\p{Z}]/gu, (found, escaped: string = found) =>
    separator.test(escaped) ? hexPairs(escaped) : found,
  );
}

function hexPairs(text: string): string {
  return Buffer.from(text).toString('hex').replace(/../g, '\\$&');
}
