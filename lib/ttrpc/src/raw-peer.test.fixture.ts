import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { frameData, FrameReader, headerBytes, writeHeader } from './frame/frame.js';
import { readResponse, requestLead } from './message/envelopes.js';
import { decodeStatus } from './status.js';

export interface RawFrame {
  streamId: number;
  type: number;
  flags: number;
  data: Uint8Array;
}

/** A peer that reads and writes raw frames. */
export class RawPeer {
  readonly stream: Duplex;
  readonly frames: RawFrame[] = [];
  ended = false;
  readonly #reader = new FrameReader(4 * 2 ** 20);
  #wake: () => void = () => undefined;

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
        const { streamId, type, flags } = frame;
        this.frames.push({ streamId, type, flags, data: frameData(frame) });
      }
      this.#wake();
    });
    stream.on('error', () => this.#over());
    stream.on('close', () => this.#over());
    stream.on('end', () => this.#over());
  }

  send(streamId: number, type: number, flags: number, data: Uint8Array = new Uint8Array()): void {
    this.stream.write(rawFrame(streamId, type, flags, data));
  }

  request(streamId: number, name: string, payload: Uint8Array = new Uint8Array(), flags = 0): void {
    this.send(streamId, 1, flags, rawRequest('demo.Demo', name, payload));
  }

  /** Waits for `count` frames and returns them. Fails when the connection ends before. */
  async take(count: number): Promise<RawFrame[]> {
    while (this.frames.length < count) {
      assert.ok(!this.ended, `the connection ended after ${this.frames.length} of ${count} frames`);
      await this.#change();
    }
    return this.frames.splice(0, count);
  }

  async end(): Promise<void> {
    while (!this.ended) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #over(): void {
    this.ended = true;
    this.#wake();
  }
}

export function rawFrame(streamId: number, type: number, flags: number, data: Uint8Array): Buffer {
  const buffer = Buffer.alloc(headerBytes + data.length);
  writeHeader(buffer, 0, data.length, streamId, type, flags);
  buffer.set(data, headerBytes);
  return buffer;
}

/** Encodes a request envelope with a payload of less than 128 bytes. */
export function rawRequest(serviceName: string, name: string, payload: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = payload.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  length.push(rest);
  const field = payload.length === 0 ? [] : [Uint8Array.from([0x1a, ...length]), payload];
  return Buffer.concat([requestLead(serviceName, name), ...field]);
}

/** Returns the status of a response as the number and text of its code, or its payload. */
export function outcome({ type, data }: RawFrame): string | Uint8Array {
  assert.equal(type, 2);
  const { status, payload } = readResponse(Buffer.from(data), 0, data.length);
  const error = status === undefined ? undefined : decodeStatus(status);
  return error === undefined ? payload : `${error.code} ${error.message}`;
}

/** Returns the outcome of the next frame. */
export async function answer(peer: RawPeer): Promise<string | Uint8Array> {
  const [frame] = await peer.take(1);
  assert.ok(frame);
  return outcome(frame);
}
