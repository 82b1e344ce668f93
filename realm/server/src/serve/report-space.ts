import type { RealmLog } from '../log/realm-log.js';

/** Returns a function that logs that the store has become full, and that it has room again. */
export function reportSpace(log: RealmLog): (why: string | undefined) => void {
  return (why) => {
    if (why === undefined)
      log('info', 'the store has room again: logs of guests are collected from where they were');
    else
      log('error', 'ALERT: the store is full: no records of guests are stored, and none is removed', { why });
  };
}
