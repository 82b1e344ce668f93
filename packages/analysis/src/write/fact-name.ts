/** A fact of requests that a rule can be about. */
export type FactName =
  | 'command'
  | 'environment'
  | 'cwd'
  | 'user'
  | 'terminal'
  | 'capabilities'
  | 'mounts'
  | 'sources'
  | 'storages'
  | 'devices'
  | 'image'
  | 'path'
  | 'signal';

/** The key of one value of a fact, for `Ask.origins`. `value` is one entry of a rule's list. */
export function originKey(fact: FactName, value: Entry): string {
  return `${fact} ${JSON.stringify(value)}`;
}

/** What stands on one line of a rule's list: a text, a number, or a list of texts. */
export type Entry = string | number | readonly string[];
