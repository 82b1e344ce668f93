/** Records have fewer levels. */
const maxLevels = 100;
/** A shorter line has at most half as many levels: recursion over its value ends before the stack does. */
const shortBytes = 4_096;
const [quote, backslash] = [0x22, 0x5c];
/** `[`, `{`, and what closes them. */
const steps: ReadonlyMap<number, 1 | -1> = new Map([
  [0x5b, 1],
  [0x7b, 1],
  [0x5d, -1],
  [0x7d, -1],
]);

/**
 * Reports whether a line of JSON has so many levels that code which walks its value could exhaust the stack: JSON.parse does not, but
 * JSON.stringify does, and String of a list.
 */
export function isTooDeep(line: Uint8Array): boolean {
  if (line.length < shortBytes) return false;
  let level = 0;
  let isText = false;
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at] as number;
    if (byte === quote) isText = !isText;
    else if (isText) at += byte === backslash ? 1 : 0;
    else level += steps.get(byte) ?? 0;
    if (level > maxLevels) return true;
  }
  return false;
}
