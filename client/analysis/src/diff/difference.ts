/**
 * The effect of a difference on callers. `opens`: something becomes possible, or that cannot be ruled out. `closes`:
 * something becomes impossible. `changes`: neither.
 */
export type Effect = 'opens' | 'closes' | 'changes';

/** The subject of a difference, in the order of output. */
export const subjects = ['listener', 'endpoint', 'rule', 'secret', 'witness', 'setting'] as const;

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
