import type { ListenerSettings } from '@kata-agent/config';

/** A listener before and after; one is absent if it was added or removed. */
export type ListenerPair =
  | { readonly before: ListenerSettings; readonly after: ListenerSettings }
  | { readonly before: ListenerSettings; readonly after: undefined }
  | { readonly before: undefined; readonly after: ListenerSettings };

/**
 * Pairs the listeners of two configurations by name, else by address; if one is left on each side, they are a pair too.
 */
export function pairListeners(
  before: readonly ListenerSettings[],
  after: readonly ListenerSettings[],
): readonly ListenerPair[] {
  const old = new Set(before);
  const paired = new Map<ListenerSettings, ListenerSettings>();
  for (const key of ['name', 'address'] as const) {
    for (const listener of after) {
      if (paired.has(listener)) continue;
      const match = [...old].find((candidate) => candidate[key] === listener[key]);
      if (match === undefined) continue;
      paired.set(listener, match);
      old.delete(match);
    }
  }
  const [left, ...others] = old;
  const [added, ...more] = after.filter((listener) => !paired.has(listener));
  if (left !== undefined && added !== undefined && others.length + more.length === 0) {
    paired.set(added, left);
    old.delete(left);
  }
  return [
    ...after.map((listener): ListenerPair => {
      const match = paired.get(listener);
      return match === undefined
        ? { before: undefined, after: listener }
        : { before: match, after: listener };
    }),
    ...[...old].map((listener): ListenerPair => ({ before: listener, after: undefined })),
  ];
}
