import type { JsonValue } from '@bufbuild/protobuf';

/**
 * Returns the first difference between a value and the expected one, or undefined. A mapping must have the expected
 * members and can have others. A list must have a matching entry for each expected one. Numbers and strings are
 * compared as text, since 64-bit numbers are strings in JSON. A string between slashes is a regular expression.
 */
export function mismatch(value: JsonValue | undefined, wanted: JsonValue, path: string): string | undefined {
  if (Array.isArray(wanted)) {
    const entries = Array.isArray(value) ? value : [];
    const lost = wanted.find((one) => entries.every((entry) => mismatch(entry, one, '') !== undefined));
    return lost === undefined
      ? undefined
      : `${path} has no ${JSON.stringify(lost)}: ${JSON.stringify(value)}`;
  }
  if (typeof wanted === 'object' && wanted !== null) {
    const members = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
    for (const [name, one] of Object.entries(wanted)) {
      const found = mismatch(members[name], one, `${path}.${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const pattern = typeof wanted === 'string' ? /^\/(.*)\/$/s.exec(wanted)?.[1] : undefined;
  if (pattern !== undefined ? new RegExp(pattern, 'm').test(text ?? '') : text === String(wanted))
    return undefined;
  return `${path} is ${text ?? 'absent'}, not ${String(wanted)}`;
}
