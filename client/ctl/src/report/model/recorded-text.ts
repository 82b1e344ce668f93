/** Texts are longer only in arguments, and in logs that no agent wrote. */
const maxText = 600;
const maxItems = 64;

/**
 * Returns a member of a record as text, shortened. A record with a right hash can have any value in most members: anyone who can
 * write the file can make one.
 */
export function recordedText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length <= maxText
    ? text
    : `${text.slice(0, maxText)}… (${text.length - maxText} more characters)`;
}

/** Returns a member that can be absent. */
export function optionalText(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : recordedText(value);
}

/** Returns a list of a record; empty if the member is no list. */
export function recordedTexts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.slice(0, maxItems).map(recordedText) : [];
}

/** Returns a member of a member, such as `request.image`; undefined if there is none. */
export function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
