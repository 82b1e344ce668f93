/** The metadata of a call. Keys are lower case; a key may have several values. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** Metadata as accepted from callers: a map as above, or a plain object. */
export type MetadataInit = Metadata | Readonly<Record<string, string | readonly string[]>>;

export const noMetadata: Metadata = new Map();

/** Returns the pairs in sending order, keys in lower case. */
export function metadataPairs(init: MetadataInit): [key: string, value: string][] {
  const entries = isMap(init) ? [...init.entries()] : Object.entries(init);
  return entries.flatMap(([key, values]) =>
    (typeof values === 'string' ? [values] : values).map((value): [string, string] => [
      key.toLowerCase(),
      value,
    ]),
  );
}

/** Converts pairs from the wire. Keys are lowercased, since Go looks them up that way. */
export function metadataFromPairs(pairs: readonly (readonly [string, string])[]): Metadata {
  const map = new Map<string, string[]>();
  for (const [key, value] of pairs) {
    const name = key.toLowerCase();
    const values = map.get(name);
    if (values === undefined) map.set(name, [value]);
    else values.push(value);
  }
  return map;
}

function isMap(init: MetadataInit): init is Metadata {
  return init instanceof Map;
}
