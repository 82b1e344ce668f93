/** A fact of requests that a rule can be about. */
export type FactName =
  | 'command'
  | 'commandLine'
  | 'environment'
  | 'variables'
  | 'cwd'
  | 'user'
  | 'groups'
  | 'terminal'
  | 'privileges'
  | 'capabilities'
  | 'root'
  | 'mounts'
  | 'sources'
  | 'mountTable'
  | 'storages'
  | 'storageTable'
  | 'devices'
  | 'sysctls'
  | 'image'
  | 'path'
  | 'signal';

/**
 * Facts that say more than what may be recorded of a request (S18): of a command line all words, of variables the
 * values, of mounts and storages the options. A pod tells them, a log does not.
 */
export const fuller: ReadonlyMap<FactName, FactName> = new Map([
  ['command', 'commandLine'],
  ['environment', 'variables'],
  ['mounts', 'mountTable'],
  ['storages', 'storageTable'],
]);

/** The key of one value of a fact, for `Ask.origins`. `value` is one entry of a rule's list. */
export function originKey(fact: FactName, value: Entry): string {
  return `${fact} ${JSON.stringify(value)}`;
}

/** What stands on one line of a rule's list: a text, a number, or a list of texts. */
export type Entry = string | number | readonly string[];
