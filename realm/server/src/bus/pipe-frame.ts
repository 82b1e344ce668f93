/** What one end of a pipe sends to the other. */
export type PipeFrame =
  /** `index` counts data and end of one direction from 0. */
  | { readonly kind: 'data'; readonly index: number; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly index: number }
  /** `consumed`: all bytes of data that were taken since the start. */
  | { readonly kind: 'credit'; readonly consumed: number }
  /** `index` of the next data: so that a lost frame is noticed, though none follows. */
  | { readonly kind: 'alive'; readonly index: number }
  | { readonly kind: 'abort'; readonly why: string };

const kinds = ['data', 'end', 'credit', 'alive', 'abort'] as const;
const headBytes = 9;
const longestWhy = 1_024;

/** One byte of kind, eight of a number, then data or text. */
export function encodeFrame(frame: PipeFrame): Buffer {
  const rest =
    frame.kind === 'data'
      ? frame.bytes
      : Buffer.from(frame.kind === 'abort' ? frame.why.slice(0, longestWhy) : '');
  const bytes = Buffer.allocUnsafe(headBytes + rest.length);
  bytes[0] = kinds.indexOf(frame.kind);
  const number = 'index' in frame ? frame.index : frame.kind === 'credit' ? frame.consumed : 0;
  bytes.writeBigUInt64BE(BigInt(number), 1);
  rest.copy(bytes, headBytes);
  return bytes;
}

/** Returns undefined if the bytes are no frame. */
export function decodeFrame(data: Uint8Array): PipeFrame | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (bytes.length < headBytes) return undefined;
  const kind = kinds[bytes[0] ?? kinds.length];
  const number = Number(bytes.readBigUInt64BE(1));
  if (kind === undefined || !Number.isSafeInteger(number)) return undefined;
  switch (kind) {
    case 'data':
      return { kind, index: number, bytes: bytes.subarray(headBytes) };
    case 'end':
    case 'alive':
      return { kind, index: number };
    case 'credit':
      return { kind, consumed: number };
    case 'abort':
      return { kind, why: bytes.toString('utf8', headBytes, headBytes + longestWhy) };
  }
}
