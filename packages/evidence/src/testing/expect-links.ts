import assert from 'node:assert/strict';
import { EvidenceFormError } from '../evidence-error.js';
import type { Link, LinkState } from '../link.js';

/** Returns the names of links in a state. */
export function linksIn(links: readonly Link[], state: LinkState): readonly string[] {
  return links.filter((link) => link.state === state).map(({ name }) => name);
}

export function assertAllOk(links: readonly Link[], names: readonly string[]): void {
  assert.deepEqual(
    links.filter(({ state }) => state !== 'ok'),
    [],
  );
  assert.deepEqual(
    links.map(({ name }) => name),
    names,
  );
}

/** Reports whether a verification refuses: by an EvidenceFormError or a failed link. Any other error is thrown. */
export function refuses(verify: () => { readonly links: readonly Link[] }): boolean {
  try {
    return linksIn(verify().links, 'failed').length > 0;
  } catch (error) {
    if (error instanceof EvidenceFormError) return true;
    throw error;
  }
}

/** Returns a copy with one byte changed. */
export function flip(bytes: Uint8Array, at: number, bits = 1): Uint8Array {
  return bytes.map((byte, index) => (index === at ? byte ^ bits : byte));
}
