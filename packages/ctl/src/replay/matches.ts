import type { JsonValue } from '@bufbuild/protobuf';

/**
 * Where a value differs from what is wanted of it; undefined: it does not. A mapping has to have the wanted members and
 * may have others; a list has to have, for each wanted entry, one that fits; numbers and texts are compared as written,
 * since 64-bit numbers are texts in JSON, and a text between slashes is a regular expression.
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
