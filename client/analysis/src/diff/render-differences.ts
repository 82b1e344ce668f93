import type { Difference, Effect } from './difference.js';

/** Styles a part of the text by its effect. */
export type Paint = (text: string, effect: Effect) => string;

/** Renders differences for people, one paragraph each, opening ones first. Empty if there are none. */
export function renderDifferences(differences: readonly Difference[], paint: Paint = plain): string {
  return (['opens', 'closes', 'changes'] as const)
    .flatMap((effect) => {
      const part = differences.filter((difference) => difference.effect === effect);
      if (part.length === 0) return [];
      return [`${paint(`${effect} (${part.length})`, effect)}\n${alike(part).map(entry).join('')}`];
    })
    .join('\n');
}

/** Groups differences of several endpoints with equal effect and reason. */
function alike(differences: readonly Difference[]): readonly (readonly Difference[])[] {
  const groups = new Map<string, Difference[]>();
  for (const difference of differences) {
    const { about, name, ...rest } = difference;
    const key = JSON.stringify(about === 'endpoint' ? [about, rest] : [about, name, rest]);
    groups.set(key, [...(groups.get(key) ?? []), difference]);
  }
  return [...groups.values()];
}

function entry(group: readonly Difference[]): string {
  const [first] = group;
  if (first === undefined) return '';
  const { about, listener, why } = first;
  const names = group.map(({ name }) => name).join(', ');
  const where = listener === undefined ? '' : ` on ${listener}`;
  return `  ${about}${group.length > 1 ? 's' : ''} ${names}${where}: ${why}\n${texts(first)}`;
}

/** Returns before and after, one line each. */
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
