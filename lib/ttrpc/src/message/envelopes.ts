import { view } from '../frame/frame.js';
import { MalformedMessage, WireCursor, WireType } from './wire-cursor.js';

/** The tags of a response's payload and status. */
export const responsePayloadTag = 0x12;

export const responseStatusTag = 0x0a;

const noMetadata: Metadata = new Map();

/**
 * message Request { string service = 1; string method = 2; bytes payload = 3; int64 timeout_nano = 4; repeated KeyValue
 * metadata = 5; }, decoded by hand: the method's name is read without decoding the payload, and the payload is not
 * copied.
 */
export interface RequestEnvelope {
  /** As Latin-1, one character per byte: cheap, and equal to the real name when that is ASCII. */
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** 0: no deadline. Negative: expired. */
  readonly timeoutNano: bigint;
  readonly metadata: Metadata;
}

/** Maximum length of a name: names appear in logs and errors. */
const longestName = 256;

const empty = new Uint8Array(0);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Decodes the envelope that fills a frame. Throws MalformedMessage for malformed bytes, and for more fields than
 * `maxFields`.
 */
export function readRequest(buffer: Buffer, start: number, end: number, maxFields: number): RequestEnvelope {
  const cursor = new WireCursor(buffer, start, end);
  let service = '';
  let method = '';
  let payload: Uint8Array = empty;
  let timeoutNano = 0n;
  let pairs: [string, string][] | undefined;
  for (let fields = 0; cursor.at < end; fields++) {
    if (fields >= maxFields) throw new MalformedMessage(`more than ${maxFields} fields in the envelope`);
    const tag = cursor.tag();
    switch (tag) {
      case 0x0a:
        service = latin1(buffer, cursor);
        break;
      case 0x12:
        method = latin1(buffer, cursor);
        break;
      case 0x1a: {
        const length = cursor.length();
        payload = view(buffer, cursor.at, cursor.at + length);
        cursor.at += length;
        break;
      }
      case 0x20:
        timeoutNano = cursor.int64();
        break;
      case 0x2a:
        (pairs ??= []).push(readPair(cursor));
        break;
      default:
        cursor.skip(tag & 7);
    }
  }
  const metadata = pairs === undefined ? noMetadata : metadataFromPairs(pairs);
  return { service, method, payload, timeoutNano, metadata };
}

/**
 * Encodes the fields that every request for a method begins with. Protobuf allows any field order, so the payload can
 * come last and be written without a copy.
 */
export function requestLead(service: string, method: string): Uint8Array {
  return Buffer.concat([...lengthField(1, Buffer.from(service)), ...lengthField(2, Buffer.from(method))]);
}

/** Appends the optional fields of a request. */
export function extendLead(
  lead: Uint8Array,
  timeoutNano: bigint,
  metadata: readonly (readonly [string, string])[],
): Uint8Array {
  const parts: Uint8Array[] = [lead];
  if (timeoutNano !== 0n) parts.push(Uint8Array.of(0x20), varint64(timeoutNano));
  for (const [key, value] of metadata) {
    const pair = [...lengthField(1, Buffer.from(key)), ...lengthField(2, Buffer.from(value))];
    parts.push(...lengthField(5, Buffer.concat(pair)));
  }
  return Buffer.concat(parts);
}

function readPair(cursor: WireCursor): [string, string] {
  const outer = cursor.end;
  cursor.end = cursor.length() + cursor.at;
  let key = '';
  let value = '';
  for (let fields = 0; cursor.at < cursor.end; fields++) {
    if (fields >= 16) throw new MalformedMessage('more than 16 fields in a metadata entry');
    const tag = cursor.tag();
    if (tag === 0x0a) key = text(cursor);
    else if (tag === 0x12) value = text(cursor);
    else cursor.skip(tag & 7);
  }
  cursor.end = outer;
  return [key, value];
}

function text(cursor: WireCursor): string {
  const length = cursor.length();
  const bytes = cursor.bytes.subarray(cursor.at, cursor.at + length);
  cursor.at += length;
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new MalformedMessage('metadata is not UTF-8', { cause });
  }
}

function latin1(buffer: Buffer, cursor: WireCursor): string {
  const length = cursor.length();
  if (length > longestName)
    throw new MalformedMessage(`a name of ${length} bytes; at most ${longestName} are read`);
  cursor.at += length;
  return buffer.toString('latin1', cursor.at - length, cursor.at);
}

function lengthField(field: number, bytes: Uint8Array): [Uint8Array, Uint8Array, Uint8Array] {
  return [Uint8Array.of((field << 3) | WireType.Length), varint64(BigInt(bytes.length)), bytes];
}

function varint64(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** The metadata of a call. Keys are lower case; a key may have several values. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** Metadata as accepted from callers: a map as above, or a plain object. */
export type MetadataInit = Metadata | Readonly<Record<string, string | readonly string[]>>;

/** Returns the pairs in sending order, keys in lower case. */
export function metadataPairs(init: MetadataInit): [key: string, value: string][] {
  const entries = isMap(init) ? [...init.entries()] : Object.entries(init);
  return entries.flatMap(([key, values]) =>
    (typeof values === 'string' ? [values] : values).map((value): [string, string] => [
      key.toLowerCase(),
      value,
    ]),
  );
}

/** Converts pairs from the wire. Keys are lowercased, since Go looks them up that way. */
export function metadataFromPairs(pairs: readonly (readonly [string, string])[]): Metadata {
  const map = new Map<string, string[]>();
  for (const [key, value] of pairs) {
    const name = key.toLowerCase();
    const values = map.get(name);
    if (values === undefined) map.set(name, [value]);
    else values.push(value);
  }
  return map;
}

function isMap(init: MetadataInit): init is Metadata {
  return init instanceof Map;
}

/** message Response { google.rpc.Status status = 1; bytes payload = 2; }, decoded by hand like the request. */
interface ResponseEnvelope {
  readonly status: Uint8Array | undefined;
  readonly payload: Uint8Array;
}

/** Decodes the envelope that fills a frame. Throws MalformedMessage. */
export function readResponse(buffer: Buffer, start: number, end: number): ResponseEnvelope {
  const cursor = new WireCursor(buffer, start, end);
  let status: Uint8Array | undefined;
  let payload: Uint8Array = empty;
  while (cursor.at < end) {
    const tag = cursor.tag();
    if (tag !== responseStatusTag && tag !== responsePayloadTag) {
      cursor.skip(tag & 7);
      continue;
    }
    const length = cursor.length();
    const bytes = view(buffer, cursor.at, cursor.at + length);
    cursor.at += length;
    if (tag === responseStatusTag) status = bytes;
    else payload = bytes;
  }
  return { status, payload };
}
