import { clip } from '../record/written.js';
import { idBytes } from '../record/record-body.js';
import type { LineHead } from './line-head.js';

/** An existing container, with the ids of its existing processes. */
export interface PresentContainer {
  readonly containerId: string;
  readonly execIds: Iterable<string>;
}

/** The boot, calls, containers and processes whose records must be kept. */
export interface Present {
  /** The current boot; containers and processes of an earlier boot no longer exist. */
  readonly boot: string;
  /** Sequence numbers of the intents of calls in progress. */
  readonly underWay: ReadonlySet<number>;
  /** Keys by `subjectOf`. Undefined when not known; everything of this boot is kept then. */
  readonly subjects: ReadonlySet<string> | undefined;
}

/**
 * Calls that last as long as their callers like. Their intents have only their share while they are in progress:
 * otherwise a caller could fill the file of kept records with calls that never end.
 */
export const lastingMethods: ReadonlySet<string> = new Set(['WatchAudit']);

/** Nothing has to be kept. */
export const nothingPresent: Present = { boot: '', underWay: new Set(), subjects: new Set() };

export function subjectsOf(containers: Iterable<PresentContainer>): ReadonlySet<string> {
  const subjects = new Set<string>();
  for (const { containerId, execIds } of containers) {
    subjects.add(subjectOf('CreateContainer', containerId, ''));
    for (const execId of execIds) subjects.add(subjectOf('ExecProcess', containerId, execId));
  }
  return subjects;
}

/** Returns the key of the container or process that a record's call created; undefined for other calls. */
export function madeBy({ method, containerId, execId }: LineHead): string | undefined {
  if (containerId === undefined) return undefined;
  switch (method) {
    case 'CreateContainer':
      return subjectOf(method, containerId, '');
    case 'ExecProcess':
      return subjectOf(method, containerId, execId ?? '');
    default:
      return undefined;
  }
}

function subjectOf(method: string, containerId: string, execId: string): string {
  return `${method}\0${clip(containerId, idBytes)}\0${clip(execId, idBytes)}`;
}
