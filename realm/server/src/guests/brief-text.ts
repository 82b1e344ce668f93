/** The longest text of a guest that is logged. */
const longest = 300;

/** Returns text that a guest may have chosen, such as an error, without control characters of terminals, on one line and not long. */
export function briefText(text: string): string {
  const plain = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain;
}
