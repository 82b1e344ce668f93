/**
 * The effect of a difference on callers. `opens`: something becomes possible, or that cannot be ruled out. `closes`:
 * something becomes impossible. `changes`: neither.
 */
export type Effect = 'opens' | 'closes' | 'changes';

/** The subject of a difference, in the order of output. */
export const subjects = ['listener', 'endpoint', 'rule', 'value', 'secret', 'witness', 'setting'] as const;

type Subject = (typeof subjects)[number];

/** One difference between two configurations. */
export interface Difference {
  readonly effect: Effect;
  readonly about: Subject;
  /** The name of a listener, method, rule or witness, the place of a secret, or a setting as `section.key`. */
  readonly name: string;
  /** For an endpoint: the listener that serves it, named as in the new configuration if it is in both. */
  readonly listener?: string;
  /** The old and the new value, for people; absent if it did or does not exist. */
  readonly before?: string;
  readonly after?: string;
  /** The reason for the effect, a sentence without full stop. */
  readonly why: string;
}

/** Styles a part of the text by its effect. */
type Paint = (text: string, effect: Effect) => string;

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
