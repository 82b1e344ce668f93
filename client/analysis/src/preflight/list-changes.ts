import { endpoints, existedIn, type MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, EndpointLists, ListEntry } from '@kata-agent/config';

/** A change that makes a workload work. */
export interface Change {
  /** One line, in the imperative: `add "ExecProcess" to allowed_endpoints`. */
  readonly text: string;
  /** The position, `config.toml:12`; absent if there is none. */
  readonly place?: string;
}

/**
 * Returns all changes that the lists need to serve a method on a listener. A denial names only the first reason; fixing
 * that alone would reveal the next.
 */
export function listChanges(
  documents: readonly ApiDocument[],
  listener: string,
  method: MethodName,
): readonly Change[] {
  return documents.flatMap((document, index) => {
    const own = document.listeners.get(listener);
    const changes = [
      ...releaseChanges(document, method),
      ...changesOf(document, '', document.file, method),
      ...(own === undefined ? [] : changesOf(own, ` of listener "${listener}"`, document.file, method)),
    ];
    // The first document with a list decides what is served; without a list it serves nothing.
    const silent = index === 0 && !hasLists(document) && (own === undefined || !hasLists(own));
    return silent ? [...changes, addition(method, '', document.file)] : changes;
  });
}

function releaseChanges({ release, file }: ApiDocument, method: MethodName): readonly Change[] {
  if (release === undefined || existedIn(method, release)) return [];
  const came = `${method} needs ${endpoints[method].release}, later than release = "${release}" (${file})`;
  return [{ text: `raise release: ${came}` }];
}

function changesOf(
  { allowed, blocked }: EndpointLists,
  of: string,
  file: string,
  method: MethodName,
): readonly Change[] {
  const changes: Change[] = [];
  const block = entryFor(method, blocked);
  if (block !== undefined) {
    const { entry, span } = block;
    const text =
      entry === method
        ? `remove "${method}" from blocked_endpoints${of}`
        : `remove ${entry} from blocked_endpoints${of}, or list its other members separately: ${method} is needed`;
    changes.push({ text, place: `${span.file}:${span.line}` });
  }
  if (allowed !== undefined && entryFor(method, allowed) === undefined) {
    const first = allowed.values().next().value?.span;
    changes.push(addition(method, of, first === undefined ? file : `${first.file}:${first.line}`));
  }
  return changes;
}

/** Returns the entry that includes a method, now or once `release` is raised: groups grow with it. */
function entryFor(
  method: MethodName,
  list: ReadonlyMap<MethodName, ListEntry> | undefined,
): ListEntry | undefined {
  const found = list?.get(method);
  if (found !== undefined || list === undefined) return found;
  const groups: readonly string[] = ['*', ...endpoints[method].groups];
  return [...list.values()].find(({ entry }) => groups.includes(entry));
}

function addition(method: MethodName, of: string, place: string): Change {
  return { text: `add "${method}" to allowed_endpoints${of}`, place };
}

function hasLists({ allowed, blocked }: EndpointLists): boolean {
  return allowed !== undefined || blocked !== undefined;
}
