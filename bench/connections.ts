import { once } from 'node:events';
import { connect as connectPath } from 'node:net';
import type { Duplex } from 'node:stream';

import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';

import { median } from './median.js';

/** A connection in which an agent is called. */
export interface Connection {
  readonly agent: Client<typeof AgentService>;
  readonly health: Client<typeof Health>;
  close(): void;
}

/** Returns the connection of a channel. */
export function onChannel(channel: Channel): Connection {
  return {
    agent: createClient(AgentService, channel),
    health: createClient(Health, channel),
    close: () => channel.close(),
  };
}

/** Returns a connection over a stream. */
export function over(stream: Duplex): Connection {
  return onChannel(connect(stream));
}

/** Connects to a unix socket. */
export async function overUnix(path: string): Promise<Connection> {
  const socket = connectPath(path);
  await once(socket, 'connect');
  return over(socket);
}

/** A call that is measured. */
export type Call = (connection: Connection) => Promise<unknown>;

/** Calls per second of so many callers on one connection. */
export async function rate(
  connection: Connection,
  call: Call,
  callers: number,
  milliseconds: number,
): Promise<number> {
  return (await load(connection, call, callers, milliseconds)).perSecond;
}

/** Makes calls for a time: their number, and how many a second. */
export async function load(
  connection: Connection,
  call: Call,
  callers: number,
  milliseconds: number,
): Promise<{ readonly calls: number; readonly perSecond: number }> {
  let calls = 0;
  const begin = performance.now();
  const end = begin + milliseconds;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      await call(connection);
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { calls, perSecond: (calls / (performance.now() - begin)) * 1_000 };
}

/** The duration of a call, in milliseconds. */
export interface Latency {
  readonly median: number;
  /** 99 of 100 calls take no longer. */
  readonly p99: number;
}

/** Makes calls one after another. */
export async function latency(connection: Connection, call: Call, milliseconds: number): Promise<Latency> {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  while (performance.now() < end || times.length === 0) {
    const begin = performance.now();
    await call(connection);
    times.push(performance.now() - begin);
  }
  const sorted = times.toSorted((a, b) => a - b);
  return { median: median(sorted), p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN };
}
