import type { Difference, Effect } from './difference.js';

/** How a piece of the text is set off, by what it says. */
export type Paint = (text: string, effect: Effect) => string;

/** Differences for people: what opens first, one paragraph each. Empty when there are none. */
export function renderDifferences(differences: readonly Difference[], paint: Paint = plain): string {
  return (['opens', 'closes', 'changes'] as const)
    .flatMap((effect) => {
      const part = differences.filter((difference) => difference.effect === effect);
      if (part.length === 0) return [];
      return [`${paint(`${effect} (${part.length})`, effect)}\n${part.map(entry).join('')}`];
    })
    .join('\n');
}

function entry(difference: Difference): string {
  const { about, name, listener, why } = difference;
  const where = listener === undefined ? '' : ` on ${listener}`;
  return `  ${about} ${name}${where}: ${why}\n${texts(difference)}`;
}

/** Before and after, a line each. */
function texts({ before, after }: Difference): string {
  const lines = [
    ...(before === undefined ? [] : [`before: ${oneLine(before)}`]),
    ...(after === undefined ? [] : [`after:  ${oneLine(after)}`]),
  ];
  return lines.map((line) => `      ${line}\n`).join('');
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

function plain(text: string): string {
  return text;
}
