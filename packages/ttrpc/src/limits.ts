/** What a peer may ask of us. All of it is enforced; nothing is unlimited. */
export interface Limits {
  /** Longest frame, without its header, in bytes. The protocol's own maximum is the default. */
  readonly maxFrameBytes: number;
  /** Calls of one connection whose handlers have not ended. */
  readonly requestsPerConnection: number;
  /** Fields and elements of one message, counted before it is decoded. */
  readonly requestFields: number;
  /** Messages inside messages. */
  readonly requestDepth: number;
  /** Time from the first byte of a frame to its last, in ms. An idle connection is not limited. */
  readonly frameTimeoutMs: number;
  /** Received and not yet taken by a streaming call's reader, in bytes; above it the connection is not read. */
  readonly streamBufferBytes: number;
  /** Written and not yet taken by the peer, in bytes; above it the connection is not read. */
  readonly writeBufferBytes: number;
}

interface Row {
  readonly value: number;
  readonly least: number;
  readonly most: number;
}

const mebibyte = 2 ** 20;

/** The one table of defaults and bounds. */
const table: { readonly [Name in keyof Limits]: Row } = {
  maxFrameBytes: { value: 4 * mebibyte, least: 1024, most: 4 * mebibyte },
  requestsPerConnection: { value: 1024, least: 1, most: 1_000_000 },
  requestFields: { value: 20_000, least: 1, most: 4 * mebibyte },
  requestDepth: { value: 100, least: 1, most: 100 },
  frameTimeoutMs: { value: 10_000, least: 1, most: 2 ** 31 - 1 },
  streamBufferBytes: { value: mebibyte, least: 1, most: 1024 * mebibyte },
  writeBufferBytes: { value: mebibyte, least: 1, most: 1024 * mebibyte },
};

/**
 * Completes a set of limits with the defaults.
 * Throws a RangeError that names the limit, its value and its bounds, or the name that is none.
 */
export function completeLimits(given: Partial<Limits> = {}): Limits {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name))
      throw new RangeError(`unknown limit ${name}; known: ${Object.keys(table).join(', ')}`);
  }
  const take = (name: keyof Limits): number => {
    const { value, least, most } = table[name];
    const wanted = given[name] ?? value;
    if (!Number.isInteger(wanted) || wanted < least || wanted > most)
      throw new RangeError(`limit ${name} is ${wanted}; use a whole number from ${least} to ${most}`);
    return wanted;
  };
  return Object.freeze({
    maxFrameBytes: take('maxFrameBytes'),
    requestsPerConnection: take('requestsPerConnection'),
    requestFields: take('requestFields'),
    requestDepth: take('requestDepth'),
    frameTimeoutMs: take('frameTimeoutMs'),
    streamBufferBytes: take('streamBufferBytes'),
    writeBufferBytes: take('writeBufferBytes'),
  });
}
