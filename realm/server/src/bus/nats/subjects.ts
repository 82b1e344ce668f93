import { createHash } from 'node:crypto';
import type { PipeEnd } from '../pipe.js';

/** Names on the bus. Each variable part is hex, so that nobody who chooses one chooses a subject. */
export const subjects = {
  requests: (replica: string): string => `kata.realm.replica.${hex(replica)}`,
  /** The token itself is never on the bus. */
  token: (token: string): string =>
    `kata.realm.token.${createHash('sha256').update(hex(token)).digest('hex')}`,
  pipe: (pipe: string, end: PipeEnd): string => `kata.realm.pipe.${hex(pipe)}.${end}`,
};

export const buckets = {
  live: 'kata-realm-live',
  known: 'kata-realm-known',
  revocations: 'kata-realm-revocations',
};

export const inboxPrefix = '_INBOX_kata_realm';

/** Names of a stream of logs. */
export interface LogNames {
  readonly stream: string;
  /** The subject of a log. */
  readonly log: (guest: string, log: string) => string;
  readonly logsOf: (guest: string) => string;
  /** Of all logs. */
  readonly logs: string;
}

function logNames(stream: string, prefix: string): LogNames {
  return {
    stream,
    log: (guest, log) => `${prefix}.${hex(guest)}.${hex(log)}`,
    logsOf: (guest) => `${prefix}.${hex(guest)}.*`,
    logs: `${prefix}.*.*`,
  };
}

/** Of the logs of a realm. */
export const realmLogs: LogNames = logNames('kata-realm-logs', 'kata.realm.log');

/** Of the logs that a collector stores in a stream of this name. */
export function collectorLogs(stream: string): LogNames {
  return logNames(stream, `${stream}.log`);
}

export function hex(text: string): string {
  if (/^[0-9a-f]{1,256}$/.test(text)) return text;
  throw new TypeError('a part of a subject is not hex');
}

/** A text of any form as a key. */
export function hexOf(text: string): string {
  return Buffer.from(text).toString('hex');
}
