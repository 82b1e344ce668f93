import { type Configuration, settings } from '@kata-agent/config';
import type { Difference } from './difference.js';

/** The keys of `[agent]` that an override can set in one configuration and not in the other. */
export function overridingDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const were = overridable(before);
  const are = overridable(after);
  const row = { about: 'setting', name: 'agent.overridable' } as const;
  const found: Difference[] = [];
  const gained = [...are].filter((key) => !were.has(key));
  const lost = [...were].filter((key) => !are.has(key));
  if (gained.length > 0)
    found.push({ ...row, effect: 'opens', why: `an override can set ${gained.join(', ')} now` });
  if (lost.length > 0)
    found.push({ ...row, effect: 'closes', why: `no override can set ${lost.join(', ')} any more` });
  return found;
}

/** The same as what loading asks for each override (CONFIGURATION, "Overrides"). */
function overridable({ settings: { lock, overridable }, restricted }: Configuration): ReadonlySet<string> {
  if (lock) return new Set();
  const rows = settings.filter((row) => row.override !== undefined);
  return new Set(
    rows
      .filter((row) =>
        overridable === undefined ? !(row.opensGuest && restricted) : overridable.includes(row.key),
      )
      .map(({ key }) => key),
  );
}
