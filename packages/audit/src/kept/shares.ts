import type { LineHead } from './line-head.js';

/**
 * The classes of records that outlive their segment, and the share of the space that each has, in sixteenths. No class
 * takes from another: however many calls of one kind there are, those of another kind stay.
 */
export const shares = {
  boot: 2,
  CreateSandbox: 1,
  CreateContainer: 4,
  ExecProcess: 3,
  SetPolicy: 1,
  /** Peers that the debug console or the log was opened to. */
  connection: 1,
  refusal: 2,
  /** Every other call that changes something. */
  other: 1,
  /** Calls of any method that failed. */
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

/** Undefined: the record goes with its segment, and only its count stays. */
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
      return undefined;
  }
}

/** Of a call that has two records: it belongs where its outcome says, once that is known. */
function changeClass(method: string, code: string | undefined): KeptClass {
  if (code !== undefined && code !== 'OK') return 'failed';
  if (method === '(connection)') return 'connection';
  return ownClass.has(method) ? (method as KeptClass) : 'other';
}
