import { create, toBinary } from '@bufbuild/protobuf';
import { StringValueSchema, UInt32ValueSchema } from '@bufbuild/protobuf/wkt';
import { Demo } from './demo.test.fixture.js';
import {
  createServer,
  service,
  type Connection,
  type Fault,
  type Server,
  type ServerOptions,
  type ServiceImplementation,
} from './index.js';
import { streamPair, type MemoryStream } from './memory-stream.test.fixture.js';
import { RawPeer } from './raw-peer.test.fixture.js';

export type Implementation = Partial<ServiceImplementation<typeof Demo, string>>;
export type Options = Partial<ServerOptions<string>>;

export interface Served {
  server: Server<string>;
  connection: Connection;
  faults: Fault<string>[];
  /** The client end. */
  near: MemoryStream;
  /** The server end. */
  far: MemoryStream;
}

/** Starts a server with one connection. */
export function serveDemo(implementation: Implementation, options: Options = {}): Served {
  const faults: Fault<string>[] = [];
  const server = createServer<string>({
    services: [service(Demo, implementation)],
    onFault: (fault) => faults.push(fault),
    ...options,
  });
  const [near, far] = streamPair();
  return { server, connection: server.serve(far, 'peer 1'), faults, near, far };
}

/** Starts a server whose client end is a raw peer. */
export function serveRaw(implementation: Implementation, options: Options = {}): Served & { peer: RawPeer } {
  const served = serveDemo(implementation, options);
  return { ...served, peer: new RawPeer(served.near) };
}

/** Waits until every pending event has been handled. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits until the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

export function text(value: string): Uint8Array {
  return toBinary(StringValueSchema, create(StringValueSchema, { value }));
}

export function number(value: number): Uint8Array {
  return toBinary(UInt32ValueSchema, create(UInt32ValueSchema, { value }));
}
