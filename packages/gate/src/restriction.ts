import { endpoints, existedIn, type MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, ListEntry } from '@kata-agent/config';

/** What one step of the way says of a method. */
export type Verdict = { readonly outcome: 'allow' | 'deny'; readonly reason: string };

/**
 * What the base document says of a method. It has to open what is served: without any list it serves nothing.
 *
 * @throws RangeError when its release is not of the form `3.21` or `3.21.0`.
 */
export function baseVerdict(document: ApiDocument, method: MethodName): Verdict {
  const denied = laterVerdict(document, method);
  if (denied !== undefined) return denied;
  const entry = document.allowed?.get(method);
  if (entry !== undefined) return allow(`in allowed_endpoints${written(entry, method)}`);
  if (document.blocked !== undefined) return allow(`not in blocked_endpoints (${document.file})`);
  return deny(`the configuration has no list of endpoints, so nothing is served (${document.file})`);
}

/**
 * Why a later document refuses a method; `undefined` when it adds no restriction. It can only narrow, so it has no
 * word for allowing.
 *
 * @throws RangeError when its release is not of the form `3.21` or `3.21.0`.
 */
export function laterVerdict(document: ApiDocument, method: MethodName): Verdict | undefined {
  const { release, allowed, blocked, file } = document;
  if (release !== undefined && !existedIn(method, release))
    return deny(`came with ${endpoints[method].release}, after release = "${release}" (${file})`);
  const block = blocked?.get(method);
  if (block !== undefined) return deny(`in blocked_endpoints${written(block, method)}`);
  if (allowed !== undefined && !allowed.has(method))
    return deny(`not in allowed_endpoints (${placeOf(allowed, file)})`);
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
