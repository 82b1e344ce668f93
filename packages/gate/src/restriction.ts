import { endpoints, existedIn, type MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, EndpointLists, ListEntry } from '@kata-agent/config';

/** What one step of the way says of a method. */
export type Verdict = { readonly outcome: 'allow' | 'deny'; readonly reason: string };

/** A pair of lists and how messages speak of it: nothing for `[api]`, ` of listener "host"` for a listener's entry. */
interface Scope {
  readonly lists: EndpointLists;
  readonly of: string;
  readonly file: string;
}

/**
 * What the base document says of a method on a listener. It has to open what is served: without any list, in `[api]`
 * or in the listener's entry, it serves nothing. Where both have lists, both must say yes.
 *
 * @throws RangeError when its release is not of the form `3.21` or `3.21.0`.
 */
export function baseVerdict(document: ApiDocument, listener: string, method: MethodName): Verdict {
  const denied = laterVerdict(document, listener, method);
  if (denied !== undefined) return denied;
  // The narrower list comes last, and is the one that a reader looks for.
  const opening = scopesOf(document, listener).map((scope) => openedBy(scope, method));
  return (
    opening.findLast((verdict) => verdict !== undefined) ??
    deny(`the configuration has no list of endpoints, so nothing is served (${document.file})`)
  );
}

/**
 * Why a later document refuses a method on a listener; `undefined` when it adds no restriction. It can only narrow,
 * so it has no word for allowing.
 *
 * @throws RangeError when its release is not of the form `3.21` or `3.21.0`.
 */
export function laterVerdict(
  document: ApiDocument,
  listener: string,
  method: MethodName,
): Verdict | undefined {
  const { release, file } = document;
  if (release !== undefined && !existedIn(method, release))
    return deny(`came with ${endpoints[method].release}, after release = "${release}" (${file})`);
  return scopesOf(document, listener)
    .map((scope) => refusedBy(scope, method))
    .find((verdict) => verdict !== undefined);
}

function scopesOf(document: ApiDocument, listener: string): readonly Scope[] {
  const api: Scope = { lists: document, of: '', file: document.file };
  const lists = document.listeners.get(listener);
  return lists === undefined ? [api] : [api, { ...api, lists, of: ` of listener "${listener}"` }];
}

function openedBy({ lists, of, file }: Scope, method: MethodName): Verdict | undefined {
  const entry = lists.allowed?.get(method);
  if (entry !== undefined) return allow(`in allowed_endpoints${of}${written(entry, method)}`);
  return lists.blocked === undefined ? undefined : allow(`not in blocked_endpoints${of} (${file})`);
}

function refusedBy({ lists, of, file }: Scope, method: MethodName): Verdict | undefined {
  const block = lists.blocked?.get(method);
  if (block !== undefined) return deny(`in blocked_endpoints${of}${written(block, method)}`);
  if (lists.allowed !== undefined && !lists.allowed.has(method))
    return deny(`not in allowed_endpoints${of} (${placeOf(lists.allowed, file)})`);
  return undefined;
}

function allow(reason: string): Verdict {
  return { outcome: 'allow', reason };
}

function deny(reason: string): Verdict {
  return { outcome: 'deny', reason };
}

/** How the method came into a list, and where that is written. */
function written({ entry, span }: ListEntry, method: MethodName): string {
  return `${entry === method ? '' : ` as ${entry}`} (${span.file}:${span.line})`;
}

/** Where a list begins; an empty one has no line of its own. */
function placeOf(list: ReadonlyMap<MethodName, ListEntry>, file: string): string {
  for (const { span } of list.values()) return `${span.file}:${span.line}`;
  return `${file}: the list is empty`;
}
