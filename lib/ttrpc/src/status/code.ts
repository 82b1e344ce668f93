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
export function toCode(value: number): Code {
  return names[value] === undefined ? Code.Unknown : (value as Code);
}
