/** An object of JSON whose members are not known. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** Reports whether a value is an object with members: no array, and not null. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
