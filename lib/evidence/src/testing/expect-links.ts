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
  return linksIn(linksOf(verify), 'failed').length > 0;
}

/** Reports whether every link is ok. */
export function accepts(verify: () => { readonly links: readonly Link[] }): boolean {
  return linksOf(verify).every(({ state }) => state === 'ok');
}

/** Returns the links, with an EvidenceFormError as one that failed. */
function linksOf(verify: () => { readonly links: readonly Link[] }): readonly Link[] {
  try {
    return verify().links;
  } catch (error) {
    if (error instanceof EvidenceFormError) return [{ name: 'form', state: 'failed', what: error.message }];
    throw error;
  }
}

/** Returns a copy with one byte changed. */
export function flip(bytes: Uint8Array, at: number, bits = 1): Uint8Array {
  return bytes.map((byte, index) => (index === at ? byte ^ bits : byte));
}
