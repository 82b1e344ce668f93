import { repository } from './repository.js';

/** A row of scripts/prerequisites.mjs, as this machine has it. */
interface Prerequisite {
  readonly name: string;
  /** What to install. */
  readonly package: string;
  /** Programs and files that are not there. */
  readonly absent: readonly string[];
  /** Why this release of Debian has no such thing. */
  readonly lacks?: string;
}

const table = (await import(`${repository}scripts/prerequisites.mjs`)) as {
  readonly prerequisite: (name: string) => Prerequisite;
};

/**
 * Why tests that need these Debian packages cannot run here; undefined when they can. With CI=true that is an error instead,
 * but for what the table says this release does not have.
 */
export function whyWithout(...names: readonly string[]): string | undefined {
  return reasonOf(
    names.map((name) => table.prerequisite(name)),
    process.env['CI'] === 'true',
  );
}

/** The same of rows. */
export function reasonOf(rows: readonly Prerequisite[], strict: boolean): string | undefined {
  const missing = rows.filter(({ absent }) => absent.length > 0);
  if (missing.length === 0) return undefined;
  const reason = missing
    .map(({ absent, package: name, lacks }) => `${absent.join(', ')} (${lacks ?? `Debian: ${name}`})`)
    .join(', ');
  if (strict && missing.some(({ lacks }) => lacks === undefined))
    throw new Error(`CI=true, and missing: ${reason}`);
  return `missing: ${reason}`;
}
