import { view } from '../frame/frame.js';
import { WireCursor } from './wire-cursor.js';

/** message Response { google.rpc.Status status = 1; bytes payload = 2; }, decoded by hand like the request. */
export interface ResponseEnvelope {
  readonly status: Uint8Array | undefined;
  readonly payload: Uint8Array;
}

const empty = new Uint8Array(0);

/** The tags of a response's payload and status. */
export const responsePayloadTag = 0x12;
export const responseStatusTag = 0x0a;

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
