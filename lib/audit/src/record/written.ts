/** Escapes JSON for a record, so that it cannot affect a terminal. Outside of strings JSON is ASCII. */
export function printableJson(json: string): string {
  // JSON has already escaped the other control characters. This check is faster than a regular expression without a
  // match.
  if (Buffer.byteLength(json) === json.length && !json.includes('\u007f')) return json;
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Reports whether a line has only what the lines of records have: no byte of it can affect a terminal. */
export function isPrintable(line: Uint8Array): boolean {
  return line.every((byte) => byte >= 0x20 && byte <= 0x7e);
}

/** Returns the size of a string in a record, in bytes, with escapes and without quotes: up to six per UTF-16 unit. */
export function writtenBytes(text: string): number {
  return printableJson(JSON.stringify(text)).length - 2;
}
