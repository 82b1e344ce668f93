import type { CollectedLog } from '../../store/collected-log.js';
import type { DescribedGuest } from '../../store/log-storage.js';
import { fieldsOf, forms, textOf } from './fields.js';
import { parseLog } from './guest-entry.js';

/** What all replicas know of a guest that has been connected. */
export interface KnownGuest {
  readonly described: DescribedGuest;
  readonly log?: CollectedLog;
}

/** Parses what another replica has written about a guest; undefined if it is not that. */
export function parseKnownGuest(id: string, value: unknown): KnownGuest | undefined {
  const given = fieldsOf(value);
  const described = parseDescribed(id, given?.['described']);
  const log = parseLog(given?.['log']);
  if (described === undefined || (log === undefined && given?.['log'] !== undefined)) return undefined;
  return { described, ...(log === undefined ? {} : { log }) };
}

function parseDescribed(id: string, value: unknown): DescribedGuest | undefined {
  const given = fieldsOf(value);
  const name = textOf(given?.['name'], forms.guestName);
  const entry = textOf(given?.['entry'], forms.entry);
  const from = textOf(given?.['from'], forms.described);
  const connectedAt = textOf(given?.['connectedAt'], forms.time);
  if (given?.['id'] !== id || name === undefined || entry === undefined) return undefined;
  if (from === undefined || connectedAt === undefined) return undefined;
  const own = { version: forms.described, bootId: forms.described, configurationDigest: forms.digest };
  const more: [string, string][] = [];
  for (const [key, form] of Object.entries(own)) {
    if (given[key] === undefined) continue;
    const text = textOf(given[key], form);
    if (text === undefined) return undefined;
    more.push([key, text]);
  }
  return { id, name, entry, from, connectedAt, ...Object.fromEntries(more) };
}
