/** What is wrong with a CDI specification, and where in it. */
export class CdiSpecError extends Error {
  override readonly name = 'CdiSpecError';
}

/** Returns an object whose members all have known names. `where`: for errors, as `devices[0].name`. */
export function objectAt(
  value: unknown,
  where: string,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CdiSpecError(`${where} must be an object`);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new CdiSpecError(`${where} has the unknown member ${JSON.stringify(unknown.slice(0, 80))}`);
  return value as Readonly<Record<string, unknown>>;
}

/** Returns a list; empty if it is absent. */
export function listAt<T>(
  value: unknown,
  where: string,
  read: (value: unknown, where: string) => T,
): readonly T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new CdiSpecError(`${where} must be a list`);
  return value.map((each, index) => read(each, `${where}[${index}]`));
}

export function textAt(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw new CdiSpecError(`${where} must be a string`);
}

/** Returns undefined for an absent or empty string, as the specification's own library does. */
export function optionalTextAt(value: unknown, where: string): string | undefined {
  return value === undefined || value === null || value === '' ? undefined : textAt(value, where);
}

/** Returns a number from 0 to 2^32-1; undefined: it is absent. */
export function integerAt(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  throw new CdiSpecError(`${where} must be a number from 0 to 4294967295`);
}
