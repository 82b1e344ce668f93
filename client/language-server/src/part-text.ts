import type { NamedPart } from '@kata-agent/gate/editor';

/** Returns what is known of a part of an expression beside its type, in Markdown. */
export function partText({ doc, onlyOf }: NamedPart): string {
  // The table that docs/reference/rules.md has below is not here.
  const text = doc?.replaceAll(/\[([^\]]+)\]\(#[^)]*\)/g, '$1');
  return [text, onlyOf === undefined ? undefined : `Only of ${onlyOf.join(', ')}: elsewhere, has() asks.`]
    .filter((paragraph) => paragraph !== undefined)
    .join('\n\n');
}
