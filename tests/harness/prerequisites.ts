import { type Prerequisite, prerequisite } from '@kata-agent/setup/prerequisites';

/**
 * Returns why tests that need these Debian packages cannot run here; undefined if they can. With CI=true that is an
 * error, except for packages that this release does not have.
 */
export function whyWithout(...names: readonly string[]): string | undefined {
  return reasonOf(
    names.map((name) => prerequisite(name)),
    process.env['CI'] === 'true',
  );
}

/** The missing parts of a row. */
type Lacking = Pick<Prerequisite, 'package' | 'missing' | 'unavailable'>;

/** The same for rows. */
export function reasonOf(rows: readonly Lacking[], strict: boolean): string | undefined {
  const missing = rows.filter(({ missing: items }) => items.length > 0);
  if (missing.length === 0) return undefined;
  const reason = missing
    .map(
      ({ missing: items, package: name, unavailable }) =>
        `${items.join(', ')} (${unavailable ?? `Debian: ${name}`})`,
    )
    .join(', ');
  if (strict && missing.some(({ unavailable }) => unavailable === undefined))
    throw new Error(`CI=true, and missing: ${reason}`);
  return `missing: ${reason}`;
}
