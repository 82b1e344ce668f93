/**
 * JSON with 64-bit integers: as JSON.stringify, but a bigint is written as the number that it is. JSON.stringify knows
 * no bigint, and a JavaScript number turns 18446744073709551615 into 18446744073709552000, which Go refuses.
 */
export function encodeSpec(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map((item) => encodeSpec(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => `${JSON.stringify(name)}:${encodeSpec(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
