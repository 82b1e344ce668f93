/** Frames as bytes, valid or deliberately invalid: tests of hostile peers must not depend on our own encoder. */

export const frameType = { request: 1, response: 2, data: 3 } as const;

/** A frame's header: length, stream id, type, flags. */
export function header(length: number, streamId: number, type: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(streamId, 4);
  bytes.writeUInt8(type, 8);
  bytes.writeUInt8(flags, 9);
  return bytes;
}

export function frame(streamId: number, type: number, body: Uint8Array, flags = 0): Buffer {
  return Buffer.concat([header(body.length, streamId, type, flags), body]);
}

/** A request frame for a method of AgentService. */
export function requestFrame(
  streamId: number,
  method: string,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const text = (tag: number, value: string) => lengthDelimited(tag, Buffer.from(value));
  const body = Buffer.concat([
    text(0x0a, 'grpc.AgentService'),
    text(0x12, method),
    lengthDelimited(0x1a, payload),
  ]);
  return frame(streamId, frameType.request, body);
}

function lengthDelimited(tag: number, value: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = value.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  length.push(rest);
  return Buffer.concat([Buffer.from([tag, ...length]), value]);
}
