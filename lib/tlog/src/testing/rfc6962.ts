import { createHash } from 'node:crypto';

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest();
};

/** The definitions of RFC 6962, Section 2.1, word for word: over lists of leaves, and with nothing shared or stored. */
type Leaves = readonly Uint8Array[];

function k(n: number): number {
  let power = 1;
  while (power << 1 < n) power <<= 1;
  return power;
}

/** MTH(D[n]) of Section 2.1. */
export function mth(d: Leaves): Buffer {
  const [first] = d;
  if (first === undefined) return sha256();
  if (d.length === 1) return sha256(Buffer.of(0), first);
  const split = k(d.length);
  return sha256(Buffer.of(1), mth(d.slice(0, split)), mth(d.slice(split)));
}

/** PATH(m, D[n]) of Section 2.1.1. */
export function path(m: number, d: Leaves): readonly Buffer[] {
  if (d.length === 1) return [];
  const split = k(d.length);
  return m < split
    ? [...path(m, d.slice(0, split)), mth(d.slice(split))]
    : [...path(m - split, d.slice(split)), mth(d.slice(0, split))];
}

/** PROOF(m, D[n]) of Section 2.1.2. */
export function proof(m: number, d: Leaves): readonly Buffer[] {
  return subproof(m, d, true);
}

function subproof(m: number, d: Leaves, b: boolean): readonly Buffer[] {
  if (m === d.length) return b ? [] : [mth(d)];
  const split = k(d.length);
  return m <= split
    ? [...subproof(m, d.slice(0, split), b), mth(d.slice(split))]
    : [...subproof(m - split, d.slice(split), false), mth(d.slice(0, split))];
}
