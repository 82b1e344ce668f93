import { place } from '../diagnostics/diagnostic.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import type { Override } from './overrides.js';
import { agentSettings } from '../settings/agent-settings-table.js';

/** Why an override is ignored, and how to permit it. */
export interface Forbidden {
  readonly reason: string;
  readonly help: string;
}

/**
 * Returns why the documents forbid an override; undefined when they permit it. `lock` and `overridable` are set in the
 * base document. A setting that opens the guest must be listed in `overridable` once the documents restrict the API.
 */
export function forbidsOverride(
  { row, way }: Pick<Override, 'row' | 'way'>,
  documents: readonly ParsedDocument[],
  restricted: boolean,
): Forbidden | undefined {
  const agent = documents[0]?.sections.agent;
  const help = `to allow it, the document needs overridable = ["${row.key}"], and no lock`;
  const lock = agent?.get('lock');
  if (lock?.value === true) return { reason: `locked by ${place(lock.span)}`, help };
  const movesApi = row.key === agentSettings.serverAddr.key;
  const listener = documents[0]?.listeners[0];
  if (movesApi && listener !== undefined) {
    const reason = `[[listener]] (${place(listener.span)}) sets the address of the API`;
    return { reason, help: 'to allow it, the document needs server_addr instead of [[listener]]' };
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
  // The host writes the kernel command line. A socket that containers can reach would give them the host's access.
  if (movesApi && way === 'kernel command line') return { reason: `it moves the API, and ${closed}`, help };
  return undefined;
}
