/** A regular expression for the hexadecimal digits of a SHA-256 digest. */
export const sha256Hex = '[0-9a-f]{64}';
