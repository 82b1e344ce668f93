import { type Configuration, settings } from '@kata-agent/config';
import type { Difference } from './difference.js';

/** Limit of listed keys, others are counted; keys that open the guest come first. */
const shown = 8;

/** Returns the keys of `[agent]` that an override can set in only one of the configurations. */
export function overridingDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const were = overridable(before);
  const are = overridable(after);
  const row = { about: 'setting', name: 'agent.overridable' } as const;
  const found: Difference[] = [];
  const gained = [...are].filter((key) => !were.has(key));
  const lost = [...were].filter((key) => !are.has(key));
  if (gained.length > 0) found.push({ ...row, effect: 'opens', why: `an override can set ${some(gained)}` });
  if (lost.length > 0)
    found.push({ ...row, effect: 'closes', why: `an override can no longer set ${some(lost)}` });
  return found;
}

function some(keys: readonly string[]): string {
  const named = keys.slice(0, shown);
  const more = keys.length - named.length;
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** The same condition as for each override on load (docs/configuration.md, "Overrides"). */
function overridable({ settings: { lock, overridable }, restricted }: Configuration): ReadonlySet<string> {
  if (lock) return new Set();
  const rows = settings.filter((row) => row.override !== undefined);
  return new Set(
    rows
      .filter((row) =>
        overridable === undefined ? !(row.opensGuest && restricted) : overridable.includes(row.key),
      )
      .toSorted((a, b) => Number(b.opensGuest) - Number(a.opensGuest))
      .map(({ key }) => key),
  );
}
