import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';

/** Maximum message length in UTF-16 units, so that an error always fits into a frame. */
const longestMessage = 65_536;

/** The status codes of gRPC, which ttRPC shares (google.rpc.Code). */
export const Code: {
  readonly Ok: 0;
  readonly Canceled: 1;
  readonly Unknown: 2;
  readonly InvalidArgument: 3;
  readonly DeadlineExceeded: 4;
  readonly NotFound: 5;
  readonly AlreadyExists: 6;
  readonly PermissionDenied: 7;
  readonly ResourceExhausted: 8;
  readonly FailedPrecondition: 9;
  readonly Aborted: 10;
  readonly OutOfRange: 11;
  readonly Unimplemented: 12;
  readonly Internal: 13;
  readonly Unavailable: 14;
  readonly DataLoss: 15;
  readonly Unauthenticated: 16;
} = {
  Ok: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
};

export type Code = (typeof Code)[keyof typeof Code];

/** By number: `NotFound` is written `NOT_FOUND`, as in gRPC's documents. */
const names: readonly string[] = Object.keys(Code).map((name) =>
  name.replaceAll(/(?<=[a-z])[A-Z]/g, '_$&').toUpperCase(),
);

/** Returns the code's name as in gRPC's documentation (`UNIMPLEMENTED`), or `CODE_99` for a number without a name. */
export function codeName(code: number): string {
  return names[code] ?? `CODE_${code}`;
}

/** Converts a code from the wire; a code that gRPC does not define becomes UNKNOWN. */
function toCode(value: number): Code {
  return names[value] === undefined ? Code.Unknown : (value as Code);
}

/**
 * A failed call: code, message and details of google.rpc.Status. When a handler throws it, it is sent as it is; a
 * client call rejects with it.
 */
export class TtrpcError extends Error {
  readonly code: Code;
  readonly details: readonly Any[];

  constructor(code: Code, message: string, options: { details?: readonly Any[]; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = `TtrpcError(${codeName(code)})`;
    this.code = code;
    this.details = options.details ?? [];
  }
}

/** Returns the message of a thrown value. Never throws, whatever the value is. */
export function describeError(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof Error && typeof error.message === 'string') return error.message;
  return `a value of type ${typeof error} was thrown, not an Error`;
}

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
