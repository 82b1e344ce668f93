/** Key and values of a call, beside its message. Keys are lower case; a key may have several values. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** What a client may give: a map as above, or a plain object. */
export type MetadataInit = Metadata | Readonly<Record<string, string | readonly string[]>>;

export const noMetadata: Metadata = new Map();

/** The pairs in the order in which they are sent, keys in lower case. */
export function metadataPairs(init: MetadataInit): [key: string, value: string][] {
  const entries = isMap(init) ? [...init.entries()] : Object.entries(init);
  return entries.flatMap(([key, values]) =>
    (typeof values === 'string' ? [values] : values).map((value): [string, string] => [
      key.toLowerCase(),
      value,
    ]),
  );
}

/** Pairs from the wire. Keys are put in lower case, since that is how Go looks them up. */
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
