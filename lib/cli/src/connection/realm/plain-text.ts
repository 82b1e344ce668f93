/** The longest text of a realm that is shown. */
const longest = 300;

/** Returns text of another machine without control characters of terminals, on one line, and not too long. */
export function plainText(text: string): string {
  const plain = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain;
}
