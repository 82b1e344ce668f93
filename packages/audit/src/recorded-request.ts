import type { RequestSummary } from '@kata-agent/gate';
import type { RecordedRequest } from './record.js';
import { Room } from './room.js';

/** The summary of a request in the bounds of a record; with the mark `cut` where something is missing. */
export function recordedRequest(summary: RequestSummary): RecordedRequest {
  const room = new Room();
  const kept = bounded(summary, room) as RequestSummary;
  return room.cut ? { ...kept, cut: true } : kept;
}

/** Texts, lists and objects of them. */
function bounded(value: unknown, room: Room): unknown {
  if (typeof value === 'string') return room.text(value);
  if (Array.isArray(value)) return room.list(value as unknown[], (entry) => bounded(entry, room));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, bounded(member, room)]));
}
