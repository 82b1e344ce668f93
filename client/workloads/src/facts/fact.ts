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

/** A field of a container whose value no rule can state, because the input does not have it. */
export interface OpenField {
  readonly fact: FactName;
  /** In terms of the pod: `args[2]`, `env TOKEN`, `workingDir`. */
  readonly field: string;
  /** What is missing, and how to supply it if that is possible. */
  readonly why: string;
  /** It is code, or the program: the source of the value chooses what runs. */
  readonly isCode?: boolean;
}

/** A condition for values that are not known in advance. It applies to one container. */
export interface ValueForm {
  /** CEL for one value, under its name in the fact's rule. Absent: any value. */
  readonly condition?: string;
  /** The name of the only variable that it is about. */
  readonly variable?: string;
  /**
   * Names of variables that it is about. A name that the container has in its list, or as `variable` of another form, is not among them.
   */
  readonly names?: RegExp;
  /** What the condition says, for texts that are not CEL; absent: it has no other form. */
  readonly meaning?: FormMeaning;
  readonly because: string;
}

/** What the condition of a form says. */
export type FormMeaning =
  | { readonly kind: 'absolute path' }
  /** A command line that ends with these words. */
  | { readonly kind: 'last words'; readonly words: readonly string[] }
  | { readonly kind: 'user'; readonly uid?: number; readonly gid?: number }
  | { readonly kind: 'group of the user' }
  /** A variable whose whole value matches. */
  | { readonly kind: 'pattern'; readonly variable: string; readonly pattern: string }
  | { readonly kind: 'services'; readonly of: 'any' | 'apiServer' }
  /** Variables that the container does not have by name; none of the API server's. */
  | { readonly kind: 'other variables' };
