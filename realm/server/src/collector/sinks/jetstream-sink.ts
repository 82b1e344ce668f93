import { randomBytes } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { BusError, type BusOptions } from '../../bus/bus-options.js';
import { ConnectionState, connectNats } from '../../bus/nats/connect-nats.js';
import { Malformed } from '../../bus/nats/bus-messages.js';
import { NatsLogs } from '../../bus/nats/nats-logs.js';
import { openLogParts } from '../../bus/nats/open-parts.js';
import { collectorLogs } from '../../bus/nats/subjects.js';
import type { OpenSinkOptions, Sink, SinkOptions } from './open-sink.js';
import type { SinkAddress } from './sink-address.js';

type JetStreamAddress = Extract<SinkAddress, { kind: 'jetstream' }>;

const inboxPrefix = '_INBOX_kata_audit';

/**
 * Opens a stream of JetStream, and creates it if it is missing: one subject a log, each message accepted only after the one that
 * is known as the last. So the stream says where to continue, and each record is in it once. Throws a BusError.
 */
export async function openJetStream(
  { servers, tls, stream }: JetStreamAddress,
  files: OpenSinkOptions['files'],
  { onEvent, signal }: SinkOptions,
): Promise<Sink> {
  const options: BusOptions = { servers, tls, ...files };
  const use = { option: '--to', inboxPrefix } as const;
  const nc = await connectNats(options, `kata audit ${randomBytes(6).toString('hex')}`, use);
  const names = collectorLogs(stream);
  try {
    const { jsm, known } = await openLogParts(nc, names, `${stream}-notes`);
    const failed = ({ message }: Error): void => {
      if (!signal.aborted) onEvent({ kind: 'not-stored', why: message });
    };
    const connection = new ConnectionState(nc, (isConnected) => {
      if (!isConnected) failed(new Error('NATS is not connected'));
    });
    const stop = (): void => connection.stop();
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    const logs = new NatsLogs({
      js: jetstream(nc),
      jsm,
      names,
      known,
      connected: () => connection.connected(),
      whileConnected: (work) => connection.whileConnected(work),
      onFailure: failed,
      malformed: new Malformed((_message, error) => failed(error)),
    });
    return { storage: (id) => logs.logs(id), close: () => nc.close() };
  } catch (error) {
    await nc.close().catch(() => undefined);
    throw new BusError(`stream ${stream} of --to cannot be used: ${(error as Error).message}`, [
      'nats-server needs JetStream, and the permissions of examples/collect/nats-server.conf',
    ]);
  }
}
