/** Limits on the resources that a peer can use. All are enforced; none is optional. */
export interface Limits {
  /** Maximum frame length without its header, in bytes. The default is the protocol's maximum. */
  readonly maxFrameBytes: number;
  /** Calls per connection whose handlers have not ended. */
  readonly requestsPerConnection: number;
  /** Fields and repeated elements per message, counted before decoding. */
  readonly requestFields: number;
  /** Nesting depth of messages. */
  readonly requestDepth: number;
  /** Time from the first byte of a frame to its last, in ms. An idle connection is not limited. */
  readonly frameTimeoutMs: number;
  /** Bytes received and not yet read by a streaming call; above it the connection is not read. */
  readonly streamBufferBytes: number;
  /** Bytes written and not yet taken by the peer; above it the connection is not read. */
  readonly writeBufferBytes: number;
}

interface Row {
  readonly value: number;
  readonly min: number;
  readonly max: number;
}

const mebibyte = 2 ** 20;

/** Defaults and bounds. */
const table: { readonly [Name in keyof Limits]: Row } = {
  maxFrameBytes: { value: 4 * mebibyte, min: 1024, max: 4 * mebibyte },
  requestsPerConnection: { value: 1024, min: 1, max: 1_000_000 },
  requestFields: { value: 20_000, min: 1, max: 4 * mebibyte },
  requestDepth: { value: 100, min: 1, max: 100 },
  frameTimeoutMs: { value: 10_000, min: 1, max: 2 ** 31 - 1 },
  streamBufferBytes: { value: mebibyte, min: 1, max: 1024 * mebibyte },
  writeBufferBytes: { value: mebibyte, min: 1, max: 1024 * mebibyte },
};

/**
 * Completes limits with the defaults. Throws a RangeError that names the limit, its value and its bounds, or the
 * unknown name.
 */
export function completeLimits(given: Partial<Limits> = {}): Limits {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name))
      throw new RangeError(`unknown limit ${name}; known: ${Object.keys(table).join(', ')}`);
  }
  const take = (name: keyof Limits): number => {
    const { value, min, max } = table[name];
    const wanted = given[name] ?? value;
    if (!Number.isInteger(wanted) || wanted < min || wanted > max)
      throw new RangeError(`limit ${name} is ${wanted}; use a whole number from ${min} to ${max}`);
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
