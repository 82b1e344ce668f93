import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

const headerBytes = 10;
export const messageType = { request: 1, response: 2, data: 3 } as const;

export interface WireFrame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
}

/** Returns a frame's bytes. `declared` is a false length of the data. */
export function encodeFrame(frame: WireFrame, declared: number = frame.data.length): Buffer {
  const buffer = Buffer.alloc(headerBytes + frame.data.length);
  buffer.writeUInt32BE(declared, 0);
  buffer.writeUInt32BE(frame.streamId, 4);
  buffer.writeUInt8(frame.type, 8);
  buffer.writeUInt8(frame.flags, 9);
  buffer.set(frame.data, headerBytes);
  return buffer;
}

/** Splits bytes into frames; `rest` is an incomplete one. */
export function cutFrames(bytes: Buffer): { readonly frames: WireFrame[]; readonly rest: Buffer } {
  const frames: WireFrame[] = [];
  let at = 0;
  while (bytes.length - at >= headerBytes) {
    const end = at + headerBytes + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    frames.push({
      streamId: bytes.readUInt32BE(at + 4),
      type: bytes.readUInt8(at + 8),
      flags: bytes.readUInt8(at + 9),
      data: bytes.subarray(at + headerBytes, end),
    });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** A Request envelope with service, method and payload. */
export function encodeRequest(service: string, method: string, payload: Uint8Array): Uint8Array {
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(service)
    .tag(2, WireType.LengthDelimited)
    .string(method)
    .tag(3, WireType.LengthDelimited)
    .bytes(payload)
    .finish();
}

/** Returns the code in a Response envelope; 0 without a status. Throws if the envelope is malformed. */
export function responseCode(data: Uint8Array): number {
  const reader = new BinaryReader(data);
  let code = 0;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) code = statusCode(reader.bytes());
    else reader.skip(wireType, number);
  }
  return code;
}

function statusCode(data: Uint8Array): number {
  const reader = new BinaryReader(data);
  let code = 0;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.Varint) code = reader.int32();
    else reader.skip(wireType, number);
  }
  return code;
}

/** Returns the payload in a Request envelope; empty without one. Throws if the envelope is malformed. */
export function requestPayload(data: Uint8Array): Uint8Array {
  const reader = new BinaryReader(data);
  let payload: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 3 && wireType === WireType.LengthDelimited) payload = reader.bytes();
    else reader.skip(wireType, number);
  }
  return payload;
}
