import type { Socket } from 'node:net';
import { unacknowledgedMs } from '@kata-agent/connection-limits';
import type { BusOptions } from '../bus/bus-options.js';
import type { HostPort } from '../listener/listen.js';
import type { OperatorContext } from '../operators/operator-context.js';
import type { OperatorHandler } from '../operators/operator-service.js';
import type { TryLock } from '../store/log-directory.js';
import type { RealmLog } from '../realm-log.js';

/** Files of a realm, by path. Each is read at start and at each reload. */
export interface RealmFiles {
  /** The realm's certificates and key, as PEM: for guests and operators. */
  readonly cert: string;
  readonly key: string;
  readonly operatorCa: string;
  readonly operatorCrl: string | undefined;
  readonly authorization: string;
  /** The private key of the realm as a witness: a file of `kata-realm witness-key`, read at start only. */
  readonly witnessKey?: string | undefined;
  /** The reference values that the evidence of guests is verified by; undefined: guests are not asked for evidence. */
  readonly reference?: string | undefined;
  /** The directory of what vendors publish, for evidence of SNP and TDX. */
  readonly collateral?: string | undefined;
}

/** Times that tests shorten, in ms. */
export interface RealmTimes {
  /** From accept(2) until a connection is accepted. */
  readonly pendingMs: number;
  /** A call to a guest before it is shown. */
  readonly callMs: number;
  readonly healthEveryMs: number;
  readonly healthTimeoutMs: number;
  /** How long a guest may take to send again the record that is stored last. */
  readonly overlapMs: number;
  /** After a failure of collecting a log. */
  readonly retryMs: number;
  /** Between two fdatasync(2) of stored records. */
  readonly syncMs: number;
  /** How often each guest has a record at least; undefined: as its boot record says. */
  readonly heartbeatMs?: number | undefined;
  /** Sent bytes that are not acknowledged for this time end a connection. */
  readonly unacknowledgedMs: number;
}

export const defaultTimes: RealmTimes = {
  pendingMs: 10_000,
  callMs: 15_000,
  healthEveryMs: 30_000,
  healthTimeoutMs: 15_000,
  overlapMs: 15_000,
  retryMs: 10_000,
  syncMs: 1_000,
  unacknowledgedMs,
};

export interface RealmOptions {
  readonly guests: HostPort;
  readonly operators: HostPort;
  readonly metrics: HostPort | undefined;
  readonly files: RealmFiles;
  /** Whether guests without verified evidence can be accepted; they are marked everywhere. */
  readonly allowUnattested: boolean;
  readonly store: string;
  /** Bytes of logs that are stored of each guest. */
  readonly maxLogPerGuest: number;
  /** Bytes of logs that are stored of all guests. */
  readonly storeMax: number;
  /** How long operators' connections may last when the realm ends, in ms. */
  readonly drainMs: number;
  readonly version: string;
  readonly log: RealmLog;
  readonly tryLock: TryLock;
  /** Ends a connection whose sent bytes are not acknowledged for a time: `limitUnacknowledged` of lib/linux. */
  readonly limitUnacknowledged: (socket: Socket, milliseconds: number) => void;
  /** Absent: OperatorService. */
  readonly operatorHandler?: (context: OperatorContext) => OperatorHandler;
  /** How several replicas of a realm are reached; absent: this process is the only one. */
  readonly bus?: BusOptions | undefined;
  readonly times?: Partial<RealmTimes>;
}

/** A realm that serves. */
export interface Realm {
  readonly ports: {
    readonly guests: number;
    readonly operators: number;
    readonly metrics: number | undefined;
  };
  /** Reads all files again. A file that is not valid is logged, and nothing changes. */
  reload(): Promise<void>;
  /** Drains and ends. */
  close(): Promise<void>;
}
