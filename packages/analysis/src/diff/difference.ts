/**
 * What a difference does to what callers can do. `opens`: something is possible that was not, or it cannot be told
 * that nothing is. `closes`: something is possible no more. `changes`: neither.
 */
export type Effect = 'opens' | 'closes' | 'changes';

/** What a difference is about; also the order in which differences are told. */
export const subjects = ['listener', 'endpoint', 'rule', 'setting'] as const;

type Subject = (typeof subjects)[number];

/** One thing in which two configurations differ. */
export interface Difference {
  readonly effect: Effect;
  readonly about: Subject;
  /** A listener's, method's or rule's name, or a setting as `section.key`. */
  readonly name: string;
  /** Of an endpoint: the listener that serves it, in the new configuration if it is in both. */
  readonly listener?: string;
  /** As it was, and as it is, for people; absent: it was not there, or is not. */
  readonly before?: string;
  readonly after?: string;
  /** Why it has this effect, in a sentence without a stop. */
  readonly why: string;
}
