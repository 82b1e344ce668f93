/** The attribute types that have a short name in text (RFC 4514, section 3). */
export const attributeTypes: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  C: '2.5.4.6',
  STREET: '2.5.4.9',
  DC: '0.9.2342.19200300.100.1.25',
  UID: '0.9.2342.19200300.100.1.1',
};

const shortNames: ReadonlyMap<string, string> = new Map(
  Object.entries(attributeTypes).map(([name, oid]) => [oid, name]),
);

/** Returns the short name of an attribute type; undefined if it has none. */
export function shortName(oid: string): string | undefined {
  return shortNames.get(oid);
}
