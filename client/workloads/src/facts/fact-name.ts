import type { RequestFacts } from '@kata-agent/gate';

/** A recorded fact that a rule can use: of the arguments only the first, which is `command`. */
type RecordedFact = Exclude<keyof RequestFacts, 'arguments'>;

/** A fact of requests that a rule can use: recorded, or only known from a pod. */
export type FactName =
  | RecordedFact
  | 'commandLine'
  | 'variables'
  | 'groups'
  | 'privileges'
  | 'root'
  | 'sources'
  | 'mountTable'
  | 'storageTable'
  | 'sysctls';

/**
 * Facts with more than can be recorded of a request (S18): all words of a command line, values of variables, options of
 * mounts and storages. A pod has them, a log does not.
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

/** One line of a rule's list: a string, a number, or a list of strings. */
export type Entry = string | number | readonly string[];
