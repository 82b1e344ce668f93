import { place } from './diagnostic.js';
import type { ParsedDocument } from './document/parsed-document.js';
import type { Override } from './overrides.js';
import { agentSettings } from './settings/agent-settings-table.js';

/** Why an override does nothing, and what would have to change for it. */
export interface Forbidden {
  readonly reason: string;
  readonly help: string;
}

/**
 * Why the documents forbid an override; undefined: they do not. `lock` and `overridable` are the base document's. A
 * setting that opens the guest needs to be named by `overridable` once the documents restrict the API.
 */
export function forbidsOverride(
  { row, way }: Pick<Override, 'row' | 'way'>,
  documents: readonly ParsedDocument[],
  restricted: boolean,
): Forbidden | undefined {
  const agent = documents[0]?.sections.agent;
  const help = `to let it through, the document needs overridable = ["${row.key}"], and no lock`;
  const lock = agent?.get('lock');
  if (lock?.value === true) return { reason: `locked by ${place(lock.span)}`, help };
  const movesApi = row.key === agentSettings.serverAddr.key;
  const listener = documents[0]?.listeners[0];
  if (movesApi && listener !== undefined) {
    const reason = `[[listener]] (${place(listener.span)}) says where the API is served`;
    return { reason, help: 'to let it through, the document needs server_addr instead of [[listener]]' };
  }
  const overridable = agent?.get('overridable');
  if (overridable !== undefined && Array.isArray(overridable.value)) {
    return overridable.value.includes(row.key)
      ? undefined
      : { reason: `not in overridable (${place(overridable.span)})`, help };
  }
  if (!restricted) return undefined;
  const closed = 'the documents restrict the API without naming it in overridable';
  if (row.opensGuest) return { reason: `it opens the guest, and ${closed}`, help };
  // The kernel line is the host's. A socket where containers reach it would hand them what the host may call.
  if (movesApi && way === 'kernel line') return { reason: `it moves the API, and ${closed}`, help };
  return undefined;
}
