import { createHash } from 'node:crypto';
import type { PipeEnd } from '../pipe.js';

/** Names on the bus. Each variable part is hex, so that nobody who chooses one chooses a subject. */
export const subjects = {
  requests: (replica: string): string => `kata.realm.replica.${hex(replica)}`,
  /** The token itself is never on the bus. */
  token: (token: string): string =>
    `kata.realm.token.${createHash('sha256').update(hex(token)).digest('hex')}`,
  pipe: (pipe: string, end: PipeEnd): string => `kata.realm.pipe.${hex(pipe)}.${end}`,
  log: (guest: string, log: string): string => `kata.realm.log.${hex(guest)}.${hex(log)}`,
  logsOf: (guest: string): string => `kata.realm.log.${hex(guest)}.*`,
  logs: 'kata.realm.log.*.*',
};

export const buckets = {
  live: 'kata-realm-live',
  known: 'kata-realm-known',
  revocations: 'kata-realm-revocations',
};

export const logStream = 'kata-realm-logs';
export const inboxPrefix = '_INBOX_kata_realm';

export function hex(text: string): string {
  if (/^[0-9a-f]{1,256}$/.test(text)) return text;
  throw new TypeError('a part of a subject is not hex');
}

/** A text of any form as a key. */
export function hexOf(text: string): string {
  return Buffer.from(text).toString('hex');
}
