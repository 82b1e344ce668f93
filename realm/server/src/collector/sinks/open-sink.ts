import { join } from 'node:path';
import { openLogDirectory, takeStoreDirectory, type TryLock } from '../../store/log-directory.js';
import type { LogStorage } from '../../store/log-storage.js';
import { StoreError } from '../../store/own-file.js';
import { ForwardedLogs, type Forwarder } from './forwarded-logs.js';
import { readSinkTls, type SinkAddress } from './sink-address.js';

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
      const { OtlpForwarder } = await import('./otlp.js');
      const tls = await readSinkTls(options.files);
      return await openForwarder(options, new OtlpForwarder({ ...options, url: to.url, tls }));
    }
    case 'syslog': {
      const { SyslogForwarder } = await import('./syslog.js');
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

/** Where a collector puts the logs of agents. */
export interface Sink {
  /** The logs of an agent; `id` is the SHA-256 of its name. */
  storage(id: string, agent: string): LogStorage;
  close(): Promise<void>;
}

/** What a sink tells: `agent` is undefined if it is about all. */
export type SinkEvent =
  /** Records cannot be stored or sent now; they are asked for again. */
  | { readonly kind: 'not-stored'; readonly why: string; readonly retryMs?: number }
  /** The receiver has refused records for good. They are in the file. */
  | {
      readonly kind: 'rejected';
      readonly agent: string;
      readonly count: number;
      readonly why: string;
      readonly path: string;
    }
  /** Records were sent again, since nobody knows which of them have arrived. */
  | { readonly kind: 'repeated'; readonly agent: string; readonly count: number };

/** What every sink is opened with. */
export interface SinkOptions {
  readonly onEvent: (event: SinkEvent) => void;
  /** Ends what waits for the receiver. */
  readonly signal: AbortSignal;
}
