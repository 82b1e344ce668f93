import { positions } from '@kata-agent/base/testing';

/** A text that was changed in one place, and what was done. */
export interface Mutation {
  readonly what: string;
  readonly bytes: Buffer;
}

/**
 * Returns the text with each byte changed (in its lowest, its sixth and its highest bit), removed, doubled, and swapped
 * with the next one; with each line removed and swapped with the next one; and cut after each byte. Of the bytes those that
 * `positions` returns.
 */
export function* mutations(text: string): Generator<Mutation> {
  const bytes = Buffer.from(text);
  for (const at of positions(bytes.length)) {
    const byte = bytes[at] ?? 0;
    for (const bit of [0x01, 0x20, 0x80]) {
      const changed = Buffer.from(bytes);
      changed[at] = byte ^ bit;
      yield { what: `byte ${at} ^ ${bit}`, bytes: changed };
    }
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + 1)];
    yield { what: `byte ${at} removed`, bytes: Buffer.concat([before, after]) };
    yield { what: `byte ${at} doubled`, bytes: Buffer.concat([before, Buffer.of(byte, byte), after]) };
    yield { what: `cut before byte ${at}`, bytes: Buffer.from(before) };
    const next = bytes[at + 1];
    if (next !== undefined && next !== byte) {
      const swapped = Buffer.concat([before, Buffer.of(next, byte), after.subarray(1)]);
      yield { what: `bytes ${at} and ${at + 1} swapped`, bytes: swapped };
    }
  }
  const lines = text.split('\n').slice(0, -1);
  const joined = (changed: readonly string[]): Buffer =>
    Buffer.from(changed.map((line) => `${line}\n`).join(''));
  for (const [at, line] of lines.entries()) {
    yield { what: `line ${at + 1} removed`, bytes: joined(lines.toSpliced(at, 1)) };
    const next = lines[at + 1];
    if (next !== undefined && next !== line)
      yield {
        what: `lines ${at + 1} and ${at + 2} swapped`,
        bytes: joined(lines.toSpliced(at, 2, next, line)),
      };
  }
  yield { what: 'a newline added', bytes: Buffer.concat([bytes, Buffer.from('\n')]) };
  yield { what: 'a byte added', bytes: Buffer.concat([bytes, Buffer.from('x')]) };
}
