/**
 * Returns what a witness signs: two lines, and the text of the checkpoint (C2SP tlog-cosignature v1.0.1, "Signed
 * message"). `time` is in seconds since 1970.
 */
export function cosignedMessage(text: string, time: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
}

/** A cosignature: when it was made, and the Ed25519 signature of the cosigned message. */
export interface TimestampedSignature {
  readonly time: number;
  readonly signature: Uint8Array;
}

/**
 * Reports whether a time can be in a cosignature: seconds since 1970, and not 0, which stands for no time (C2SP
 * tlog-witness, "add-checkpoint"). Beyond 2^53 - 1 it is refused here, although the document allows it.
 */
export function isCosignatureTime(time: number): boolean {
  return Number.isSafeInteger(time) && time > 0;
}

/** Encodes a `timestamped_signature`: the time as 8 bytes, big-endian, and the signature. */
export function encodeTimestamped({ time, signature }: TimestampedSignature): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(time));
  return Buffer.concat([bytes, signature]);
}

/** Decodes a `timestamped_signature`. Undefined if it is not one. */
export function decodeTimestamped(bytes: Uint8Array): TimestampedSignature | undefined {
  if (bytes.byteLength !== 8 + 64) return undefined;
  const time = Number(Buffer.from(bytes.subarray(0, 8)).readBigUInt64BE());
  return isCosignatureTime(time) ? { time, signature: bytes.subarray(8) } : undefined;
}
