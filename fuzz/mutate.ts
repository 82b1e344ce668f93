import type { Random } from './random.js';

/** Returns a copy with changes in a few places: flips, cuts, insertions, repetitions. */
export function mutateBytes(random: Random, input: Uint8Array): Uint8Array {
  let bytes = Buffer.from(input);
  for (let changes = 1 + random.below(4); changes > 0; changes -= 1) {
    const at = random.below(bytes.length + 1);
    switch (random.below(5)) {
      case 0:
        if (at < bytes.length) bytes[at] = random.bits() & 0xff;
        break;
      case 1:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)]);
        break;
      default: {
        const end = Math.min(bytes.length, at + random.below(16));
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
      }
    }
  }
  return bytes;
}

/**
 * Changes a text line by line: swaps, drops, repeats; and word by word, with words that are significant in its format.
 */
export function mutateText(random: Random, input: string, words: readonly string[]): string {
  const lines = input.split('\n');
  for (let changes = 1 + random.below(4); changes > 0; changes -= 1) {
    const at = random.below(lines.length);
    const line = lines[at] ?? '';
    switch (random.below(6)) {
      case 0:
        lines.splice(at, 1);
        break;
      case 1:
        lines.splice(random.below(lines.length + 1), 0, line);
        break;
      case 2:
        lines.splice(at, 0, random.pick(words));
        break;
      case 3: {
        const place = random.below(line.length + 1);
        lines[at] = line.slice(0, place) + random.pick(words) + line.slice(place);
        break;
      }
      case 4: {
        const place = random.below(line.length + 1);
        lines[at] = line.slice(0, place) + line.slice(place + 1 + random.below(4));
        break;
      }
      default: {
        const place = random.below(line.length + 1);
        lines[at] = line.slice(0, place) + String.fromCodePoint(codePoint(random)) + line.slice(place);
      }
    }
  }
  return lines.join('\n');
}

/** Mostly ASCII, sometimes control characters, look-alikes and others; never a lone surrogate. */
function codePoint(random: Random): number {
  const choice = random.below(8);
  if (choice < 5) return 0x20 + random.below(0x5f);
  if (choice === 5) return random.below(0x20);
  if (choice === 6) return 0x400 + random.below(0x100);
  const any = random.below(0x10_0000);
  return any >= 0xd800 && any <= 0xdfff ? 0xfffd : any;
}
