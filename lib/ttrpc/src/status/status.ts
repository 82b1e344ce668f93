import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { AnySchema, type Any } from '@bufbuild/protobuf/wkt';
import { Code, toCode } from './code.js';
import { TtrpcError } from './ttrpc-error.js';

/** Maximum message length in UTF-16 units, so that an error always fits into a frame. */
const longestMessage = 65_536;

/** google.rpc.Status { int32 code = 1; string message = 2; repeated Any details = 3; } */
export function encodeStatus(error: TtrpcError): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int32(error.code);
  const message = error.message.slice(0, longestMessage);
  if (message !== '') writer.tag(2, WireType.LengthDelimited).string(message);
  for (const detail of error.details)
    writer.tag(3, WireType.LengthDelimited).bytes(toBinary(AnySchema, create(AnySchema, detail)));
  return writer.finish();
}

/** Decodes a status to an error, or to undefined for OK. Throws when the bytes are malformed. */
export function decodeStatus(bytes: Uint8Array): TtrpcError | undefined {
  const reader = new BinaryReader(bytes);
  let code = 0;
  let message = '';
  const details: Any[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.Varint) code = reader.int32();
    else if (field === 2 && wireType === WireType.LengthDelimited) message = reader.string();
    else if (field === 3 && wireType === WireType.LengthDelimited)
      details.push(fromBinary(AnySchema, reader.bytes(), { readUnknownFields: false }));
    else reader.skip(wireType, field);
  }
  return code === Code.Ok ? undefined : new TtrpcError(toCode(code), message, { details });
}
