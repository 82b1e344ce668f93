/** Length u32, stream id u32 (both big-endian), type u8, flags u8. */
export const headerBytes = 10;

export const FrameType: { readonly Request: 1; readonly Response: 2; readonly Data: 3 } = {
  Request: 1,
  Response: 2,
  Data: 3,
};

/** Named from the receiver's view: `RemoteClosed` says that the sender sends nothing more. */
export const FrameFlag: { readonly RemoteClosed: 1; readonly RemoteOpen: 2; readonly NoData: 4 } = {
  RemoteClosed: 1,
  RemoteOpen: 2,
  NoData: 4,
};

/** A frame in the receive buffer. The buffer is never overwritten, so views of it may be kept. */
export interface Frame {
  readonly streamId: number;
  /** One of FrameType, or an unknown number from a later protocol version. */
  readonly type: number;
  readonly flags: number;
  readonly buffer: Buffer;
  /** Offsets of the data in `buffer`. */
  readonly start: number;
  readonly end: number;
}

/** Returns the frame's data as a view. A plain Uint8Array, because `slice` of a Buffer does not copy. */
export function frameData(frame: Frame): Uint8Array {
  return view(frame.buffer, frame.start, frame.end);
}

/** Returns a part of a buffer as a plain Uint8Array that shares its memory. */
export function view(buffer: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start);
}

/** Writes a header at an offset and returns the offset after it. */
export function writeHeader(
  target: Buffer,
  offset: number,
  length: number,
  streamId: number,
  type: number,
  flags: number,
): number {
  target.writeUInt32BE(length, offset);
  target.writeUInt32BE(streamId, offset + 4);
  target[offset + 8] = type;
  target[offset + 9] = flags;
  return offset + headerBytes;
}
