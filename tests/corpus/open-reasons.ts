import type { GeneratedPlan } from '@kata-agent/analysis';

/** What the input of `generate` lacks, without the names of the pod, and the facts that are open for it. */
export interface OpenReason {
  readonly missing: string;
  readonly fields: readonly string[];
}

/** By the text of the reason; the first one that fits counts. */
const kinds: readonly (readonly [RegExp, string])[] = [
  [/^the configuration of image .* is not given/, 'the configuration of an image'],
  [/ has a user name, /, 'numbers of a user that the image has by name'],
  [/runAsUser without runAsGroup/, 'the group of a user, which the image has'],
  [
    / is not in the given files, so its keys are unknown/,
    'the names of the variables in a Secret or ConfigMap',
  ],
  [/Secret .*, key /, 'the value in a Secret'],
  [/ConfigMap .*, key /, 'the value in a ConfigMap that is not given'],
  [/field metadata\.annotations/, 'an annotation that the cluster sets'],
];

/** Returns the reasons of a plan. Throws for a reason of no known kind. */
export function openReasons({ open }: Pick<GeneratedPlan, 'open'>): readonly OpenReason[] {
  return open.map(({ why, fields }) => {
    const missing = kinds.find(([pattern]) => pattern.test(why))?.[1];
    if (missing === undefined) throw new Error(`no kind of reason is known for: ${why}`);
    // One entry can name several: `user, group of the user`.
    const general = fields
      .flatMap((field) => field.split(', '))
      .map((field) => field.replace(/^(?:env|variables) .*/, 'env').replace(/\[\d+\]$/, '[]'));
    return { missing, fields: general };
  });
}
