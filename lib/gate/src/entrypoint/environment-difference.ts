import { enginePath } from '@kata-agent/catalogue';

/**
 * Returns what keeps an environment from being the image's with listed variables; undefined: it is. Never a value.
 *
 * @param listed `NAME`: any value; `NAME=VALUE`: this one. A `*` in a name is for any characters, and for no variable of the image: those have
 *   their values unless they are listed by name.
 */
export function environmentDifference(
  requested: readonly string[],
  ofImage: readonly string[],
  listed: readonly string[],
): string | undefined {
  const declared = withPath(new Map(ofImage.map(split)));
  const allowed = listed.map((entry) => parseListed(entry, declared));
  const given = new Map<string, string>();
  for (const entry of requested) {
    const [name, value] = split(entry);
    if (name === '' || !entry.includes('=')) return 'an entry of the environment is no NAME=value';
    if (given.has(name)) return `variable ${JSON.stringify(name)} is duplicated`;
    given.set(name, value);
    const rows = allowed.filter((row) => row.matches(name));
    if (
      rows.length === 0
        ? declared.get(name) === value
        : rows.some((row) => row.value === undefined || row.value === value)
    )
      continue;
    return declared.has(name) || rows.length > 0
      ? `variable ${JSON.stringify(name)} has another value`
      : `variable ${JSON.stringify(name)} is neither the image's nor listed`;
  }
  for (const name of declared.keys())
    if (!given.has(name) && !allowed.some((row) => row.matches(name)))
      return `variable ${JSON.stringify(name)} of the image is missing`;
  return undefined;
}

/** Engines set a PATH if the image has none. */
function withPath(declared: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return declared.has('PATH') ? declared : new Map([...declared, ['PATH', enginePath]]);
}

interface Listed {
  readonly matches: (name: string) => boolean;
  /** Undefined: any. */
  readonly value: string | undefined;
}

function parseListed(entry: string, declared: ReadonlyMap<string, string>): Listed {
  const [name, value] = split(entry);
  const matches = nameMatcher(name);
  return {
    matches: name.includes('*') ? (given) => !declared.has(given) && matches(given) : matches,
    value: entry.includes('=') ? value : undefined,
  };
}

/** By parts in order, without backtracking: a name may be long. */
function nameMatcher(pattern: string): (name: string) => boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return (name) => name === pattern;
  return (name) => {
    if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last))
      return false;
    let at = first.length;
    for (const part of others) {
      const found = name.indexOf(part, at);
      if (found < 0 || found + part.length > name.length - last.length) return false;
      at = found + part.length;
    }
    return true;
  };
}

function split(entry: string): [name: string, value: string] {
  const end = entry.indexOf('=');
  return end < 0 ? [entry, ''] : [entry.slice(0, end), entry.slice(end + 1)];
}
