import type { LineHead } from './line-head.js';

/**
 * The classes of records that outlive their segment, and each one's share of the space, in sixteenths. No class
 * displaces another.
 */
export const shares = {
  boot: 2,
  CreateSandbox: 1,
  CreateContainer: 4,
  ExecProcess: 3,
  SetPolicy: 1,
  /** Connections to the debug console or the log stream. */
  connection: 1,
  refusal: 2,
  /** Every other call that changes something. */
  other: 1,
  /** Failed calls of any method. */
  failed: 1,
} as const;

export type KeptClass = keyof typeof shares;

export const sixteenths = 16;

const ownClass: ReadonlySet<string> = new Set<KeptClass>([
  'CreateSandbox',
  'CreateContainer',
  'ExecProcess',
  'SetPolicy',
]);

/** Returns undefined when the record is removed with its segment and only counted. */
export function classOf({ kind, method, code }: LineHead): KeptClass | undefined {
  switch (kind) {
    case 'boot':
    case 'repaired':
    case 'lost':
      return 'boot';
    case 'refusal':
      return 'refusal';
    case 'intent':
    case 'outcome':
      return changeClass(method, code);
    case 'call':
      return code === undefined || code === 'OK' ? undefined : 'failed';
    case 'fold':
    case 'rotated':
    case 'heartbeat':
      return undefined;
  }
}

/** Returns the class of a call with two records; the outcome decides, once it is known. */
function changeClass(method: string, code: string | undefined): KeptClass {
  if (code !== undefined && code !== 'OK') return 'failed';
  if (method === '(connection)') return 'connection';
  return ownClass.has(method) ? (method as KeptClass) : 'other';
}
