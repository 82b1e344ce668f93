const header = /^\s*\[\[\s*(?:api|"api"|'api')\s*\.\s*(?:rule|"rule"|'rule')\s*\]\]/;

/**
 * Returns the comment directly above the `[[api.rule]]` of a rule, as one paragraph a block; empty if there is none, or if the rule
 * is written in another way. `line`: the line of the rule's name, from 1.
 */
export function ruleComment(lines: readonly string[], line: number): string {
  let at = line - 1;
  while (at >= 0 && !header.test(lines[at] ?? '')) at -= 1;
  const comment: string[] = [];
  for (at -= 1; at >= 0; at -= 1) {
    const text = /^\s*#+ ?(?<text>.*?)\s*$/.exec(lines[at] ?? '')?.groups?.['text'];
    if (text === undefined) break;
    comment.unshift(text);
  }
  return comment.join('\n');
}

/** Returns the comment with which a document begins: what its author says of it. */
export function documentComment(lines: readonly string[]): string {
  const end = lines.findIndex((line) => !line.startsWith('#'));
  return lines
    .slice(0, end === -1 ? lines.length : end)
    .map((line) => line.replace(/^#+ ?/, '').trimEnd())
    .join('\n');
}
