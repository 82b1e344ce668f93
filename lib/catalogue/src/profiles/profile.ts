import type { MethodName } from '../methods.js';

/** The type of a constant that the rules of a profile read. `pattern`: a text for `matches()`. */
export type ConstantType =
  | 'string'
  | 'bool'
  | 'int'
  | 'pattern'
  | { readonly list: ConstantType }
  | { readonly record: Readonly<Record<string, ConstantType>> };

/** A constant; an integer is a bigint. */
export type Constant =
  | string
  | boolean
  | bigint
  | readonly Constant[]
  | { readonly [member: string]: Constant };

/** A value that a document gives to a profile: a constant, or a list of tables. */
export type ProfileValue = {
  /** What it is without the key; absent: the key is required. */
  readonly otherwise?: Constant;
  /** In one sentence. */
  readonly purpose: string;
} & (
  | { readonly type: ConstantType }
  | {
      readonly tables: ProfileValues;
      /** The key that tells the tables apart; absent: nothing does, and two can be equal. */
      readonly by?: string;
    }
);

/** Rows by key, in the order in which they are written. */
export type ProfileValues = Readonly<Record<string, ProfileValue>>;

/** A rule of a profile: its text is the same for every pod, and reads what differs as `values`. */
export interface ProfileRule {
  readonly method: MethodName;
  /** After the method: `mounts` of `create-container-mounts`. */
  readonly name: string;
  readonly description: string;
  /** CEL. */
  readonly expression: string;
  readonly message: string;
  /** It reads the state of the guest, which an agent in forward mode does not have. */
  readonly readsGuest?: true;
}

/**
 * Rules for what a runtime and an engine send for any pod. A document that names it gives the values of one pod. It never changes once it
 * is released: another one takes its place, and documents name it by its digest.
 */
export interface Profile {
  /** With its version: `rs-shared-1`. */
  readonly name: string;
  /** The runtime and the guest that it is for. */
  readonly purpose: string;
  readonly values: ProfileValues;
  readonly rules: readonly ProfileRule[];
}

/** Returns the type of a value in the rules of a profile. */
export function constantType(value: ProfileValue): ConstantType {
  return 'type' in value ? value.type : { list: recordType(value.tables) };
}

/** Returns the type of a table: `values` itself, or one of a list. */
export function recordType(values: ProfileValues): {
  readonly record: Readonly<Record<string, ConstantType>>;
} {
  return {
    record: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, constantType(value)])),
  };
}

/** Returns `create-container-mounts`: the method in lower case with hyphens, and what the rule is about. */
export function ruleNameOf({ method, name }: Pick<ProfileRule, 'method' | 'name'>): string {
  return `${method.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}-${name}`;
}

/** The most elements of a list that rules of profiles compare by their positions: CEL has no loop over numbers. */
export const maxPositions = 64;
