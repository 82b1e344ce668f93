import { clip } from '../clip.js';
import { idBytes } from '../record-body.js';
import type { LineHead } from './line-head.js';

/** A container that is there, with the ids of its processes that are there. */
export interface PresentContainer {
  readonly containerId: string;
  readonly execIds: Iterable<string>;
}

/** What must not be forgotten: the records of what there is. */
export interface Present {
  /** Of this boot; what an earlier one made is gone with it. */
  readonly boot: string;
  /** Sequence numbers of the intents of calls that are under way. */
  readonly underWay: ReadonlySet<number>;
  /** By `subjectOf`. Undefined: not known, so everything of this boot counts as there. */
  readonly subjects: ReadonlySet<string> | undefined;
}

/** Nothing of any boot. */
export const nothingPresent: Present = { boot: '', underWay: new Set(), subjects: new Set() };

export function subjectsOf(containers: Iterable<PresentContainer>): ReadonlySet<string> {
  const subjects = new Set<string>();
  for (const { containerId, execIds } of containers) {
    subjects.add(subjectOf('CreateContainer', containerId, ''));
    for (const execId of execIds) subjects.add(subjectOf('ExecProcess', containerId, execId));
  }
  return subjects;
}

/** What a record made: a container or a process of one; undefined: neither. */
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
