/** Length u32, stream id u32 (both big-endian), type u8, flags u8. */
export const headerBytes = 10;

export const FrameType: { readonly Request: 1; readonly Response: 2; readonly Data: 3 } = {
  Request: 1,
  Response: 2,
  Data: 3,
};

/** From the sender's view: `RemoteClosed` tells the receiver that its remote, the sender, sends nothing more. */
export const FrameFlag: { readonly RemoteClosed: 1; readonly RemoteOpen: 2; readonly NoData: 4 } = {
  RemoteClosed: 1,
  RemoteOpen: 2,
  NoData: 4,
};

/** A frame where it lies in the receive buffer. That buffer is never written again, so views of it may be kept. */
export interface Frame {
  readonly streamId: number;
  /** One of FrameType, or a number from the future. */
  readonly type: number;
  readonly flags: number;
  readonly buffer: Buffer;
  /** Offsets of the data in `buffer`. */
  readonly start: number;
  readonly end: number;
}

/** The frame's data as a view. A plain Uint8Array, since `slice` of a Buffer does not copy as everyone expects. */
export function frameData(frame: Frame): Uint8Array {
  return view(frame.buffer, frame.start, frame.end);
}

/** A part of a buffer as a plain Uint8Array that shares its memory. */
export function view(buffer: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start);
}

/** Writes a header at an offset and returns the offset behind it. */
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
