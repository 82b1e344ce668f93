import { join } from 'node:path';
import { openLogDirectory } from '../../store/log-directory.js';
import { StoreError } from '../../store/store-error.js';
import { takeStoreDirectory, type TryLock } from '../../store/store-directory.js';
import { ForwardedLogs } from './forwarded-logs.js';
import type { Forwarder } from './forwarder.js';
import type { Sink, SinkOptions } from './sink.js';
import type { SinkAddress } from './sink-address.js';
import { readSinkTls } from './sink-tls.js';

export interface OpenSinkOptions extends SinkOptions {
  readonly to: SinkAddress;
  /** The directory of positions, for receivers that cannot be asked. */
  readonly state: string | undefined;
  /** Paths of PEM files, and of credentials of NATS. */
  readonly files: Readonly<Record<'ca' | 'cert' | 'key' | 'creds' | 'nkey', string | undefined>>;
  readonly timeoutMs: number;
  /** With syslog: how many of the last records are sent again after a new connection. */
  readonly repeat: number;
  /** Limit of bytes of all logs in a directory. */
  readonly maxBytes: number;
  readonly tryLock: TryLock;
  readonly limitUnacknowledged: (socket: object, limitMs: number) => void;
  readonly version: string;
}

const spaceEveryMs = 5_000;

/** Opens a sink. Throws a StoreError, a BusError, or the system's error if it cannot be used at first. */
export async function openSink(options: OpenSinkOptions): Promise<Sink> {
  const { to } = options;
  switch (to.kind) {
    case 'directory':
      return await openDirectory(to.path, options);
    case 'jetstream': {
      const { openJetStream } = await import('./jetstream-sink.js');
      return await openJetStream(to, options.files, options);
    }
    case 'otlp': {
      const { OtlpForwarder } = await import('./otlp/otlp-forwarder.js');
      const tls = await readSinkTls(options.files);
      return await openForwarder(options, new OtlpForwarder({ ...options, url: to.url, tls }));
    }
    case 'syslog': {
      const { SyslogForwarder } = await import('./syslog/syslog-forwarder.js');
      const tls = await readSinkTls(options.files);
      return await openForwarder(options, new SyslogForwarder({ ...options, address: to, tls }));
    }
  }
}

async function openDirectory(
  directory: string,
  { tryLock, maxBytes: max, onEvent }: OpenSinkOptions,
): Promise<Sink> {
  const lock = await takeStoreDirectory(directory, tryLock);
  try {
    const onChange = (why: string | undefined): void => {
      if (why !== undefined) onEvent({ kind: 'not-stored', why });
    };
    const { storage } = await openLogDirectory(directory, { max, everyMs: spaceEveryMs, onChange });
    return { storage, close: () => lock.close() };
  } catch (error) {
    await lock.close();
    throw error;
  }
}

async function openForwarder({ state, tryLock }: OpenSinkOptions, forwarder: Forwarder): Promise<Sink> {
  if (state === undefined)
    throw new StoreError(
      'this receiver cannot be asked what it has, and --state is missing',
      'name a directory for the positions of logs, which outlives this process: --state DIR',
    );
  const lock = await takeStoreDirectory(state, tryLock);
  return {
    storage: (id, agent) => new ForwardedLogs(join(state, 'guests', id), agent, forwarder),
    close: async () => {
      await forwarder.close();
      await lock.close();
    },
  };
}
