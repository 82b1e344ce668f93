import type { EndpointLists, ListEntry } from '../configuration.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';

/**
 * Warns of entries of a listener that open nothing, because the list of `[api]` in the same document has none of their methods. Their
 * author expects otherwise: `[api]` would be a default, and is a limit. A listener without any effective entry is reported elsewhere.
 */
export function entriesWithoutEffect(base: ParsedDocument): readonly Diagnostic[] {
  const limit = base.api.allowed;
  if (limit === undefined) return [];
  return base.listeners.flatMap(({ name, lists }) => {
    const idle = idleEntries(lists, limit);
    return idle.length === entriesOf(lists).length
      ? []
      : idle.map(({ entry, span }) =>
          diagnosticIn(
            base,
            'warning',
            'KA1125',
            span,
            `${quote(entry)} has no effect: allowed_endpoints of [api] is a limit for the listener ${quote(name)}, too, and has none of its methods`,
            'move the list of [api] into the [[listener]] that it is meant for, or add the entry there',
          ),
        );
  });
}

function idleEntries(
  lists: EndpointLists,
  limit: NonNullable<EndpointLists['allowed']>,
): readonly ListEntry[] {
  return entriesOf(lists).filter(
    ({ entry }) =>
      ![...(lists.allowed ?? [])].some(([method, each]) => each.entry === entry && limit.has(method)),
  );
}

/** The entries of a list, each once. */
function entriesOf({ allowed }: EndpointLists): readonly ListEntry[] {
  return [...new Map([...(allowed?.values() ?? [])].map((each) => [each.entry, each])).values()];
}
