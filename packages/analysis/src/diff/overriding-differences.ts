import { type Configuration, settings } from '@kata-agent/config';
import type { Difference } from './difference.js';

/** Keys beyond these are counted; those that open the guest come first. */
const shown = 8;

/** The keys of `[agent]` that an override can set in one configuration and not in the other. */
export function overridingDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const were = overridable(before);
  const are = overridable(after);
  const row = { about: 'setting', name: 'agent.overridable' } as const;
  const found: Difference[] = [];
  const gained = [...are].filter((key) => !were.has(key));
  const lost = [...were].filter((key) => !are.has(key));
  if (gained.length > 0)
    found.push({ ...row, effect: 'opens', why: `an override can set ${some(gained)} now` });
  if (lost.length > 0)
    found.push({ ...row, effect: 'closes', why: `no override can set ${some(lost)} any more` });
  return found;
}

function some(keys: readonly string[]): string {
  const named = keys.slice(0, shown);
  const more = keys.length - named.length;
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** The same as what loading asks for each override (docs/configuration.md, "Overrides"). */
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
