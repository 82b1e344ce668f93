import { endpoints, existedIn, type MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, EndpointLists, ListEntry } from '@kata-agent/config';

/** What would make a workload work. */
export interface Change {
  /** One line, in the imperative: `add "ExecProcess" to allowed_endpoints`. */
  readonly text: string;
  /** `config.toml:12`; absent: wherever fits. */
  readonly place?: string;
}

/**
 * All that has to change before the lists serve a method on a listener. A call is refused with the first word against
 * it; who mends that one alone would meet the next.
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
    // The first document opens what is served; without a list it opens nothing.
    const silent = index === 0 && !hasLists(document) && (own === undefined || !hasLists(own));
    return silent ? [...changes, addition(method, '', document.file)] : changes;
  });
}

function releaseChanges({ release, file }: ApiDocument, method: MethodName): readonly Change[] {
  if (release === undefined || existedIn(method, release)) return [];
  const came = `${method} came with ${endpoints[method].release}, after release = "${release}" (${file})`;
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
        ? `take "${method}" out of blocked_endpoints${of}`
        : `take ${entry} out of blocked_endpoints${of}, or name its other members one by one: ${method} is needed`;
    changes.push({ text, place: `${span.file}:${span.line}` });
  }
  if (allowed !== undefined && entryFor(method, allowed) === undefined) {
    const first = allowed.values().next().value?.span;
    changes.push(addition(method, of, first === undefined ? file : `${first.file}:${first.line}`));
  }
  return changes;
}

/** The entry that covers a method, or will once `release` is raised: a group grows with it. */
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
