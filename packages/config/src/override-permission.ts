import type { ParsedDocument } from './document.js';
import { place } from './diagnostic.js';
import type { SettingRow } from './settings/setting.js';

/**
 * Why the documents forbid that a setting is overridden; undefined: they do not. `lock` and `overridable` are the base
 * document's. A setting that opens the guest needs to be named by `overridable` once something is not served.
 */
export function forbidsOverride(
  row: SettingRow,
  documents: readonly ParsedDocument[],
  restricted: boolean,
): string | undefined {
  const agent = documents[0]?.sections.agent;
  const lock = agent?.get('lock');
  if (lock?.value === true) return `locked by ${place(lock.span)}`;
  const overridable = agent?.get('overridable');
  if (overridable !== undefined && Array.isArray(overridable.value)) {
    return overridable.value.includes(row.key)
      ? undefined
      : `not in overridable (${place(overridable.span)})`;
  }
  if (row.opensGuest && restricted) {
    return 'it opens the guest, and the documents restrict the API without naming it in overridable';
  }
  return undefined;
}
