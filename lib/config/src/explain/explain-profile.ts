import {
  type Constant,
  type Profile,
  type ProfileValue,
  type ProfileValues,
  profiles,
  ruleNameOf,
} from '@kata-agent/catalogue/profiles';
import type { ApiDocument } from '../configuration.js';
import { place } from '../diagnostics/diagnostic.js';

/** A constant in JSON, without the values that it has by default. */
type JsonConstant =
  | string
  | boolean
  | number
  | readonly JsonConstant[]
  | { readonly [key: string]: JsonConstant };

/** The profile of a document, and what its rules read. */
export interface ExplainedProfile {
  /** With its version: `rs-shared-1`. */
  readonly name: string;
  readonly source: string;
  /** Rules of the profile that are not in force. */
  readonly except: readonly string[];
  readonly values: Readonly<Record<string, JsonConstant>>;
}

/** Explains the profile of a document; undefined: it has none, or no rule of it is in force. */
export function explainProfile({ rules }: ApiDocument): ExplainedProfile | undefined {
  const inForce = rules.filter((rule) => rule.profile !== undefined);
  const [first] = inForce;
  const profile = profiles.get(first?.profile?.name ?? '');
  if (first?.profile === undefined || profile === undefined) return undefined;
  return {
    name: profile.name,
    source: place(first.span),
    except: exceptions(profile, new Set(inForce.map(({ name }) => name))),
    values: givenOf(first.profile.values.value, profile.values),
  };
}

function exceptions({ rules }: Profile, inForce: ReadonlySet<string>): readonly string[] {
  return rules.map(ruleNameOf).filter((name) => !inForce.has(name));
}

function givenOf(
  values: Readonly<Record<string, Constant>>,
  rows: ProfileValues,
): Readonly<Record<string, JsonConstant>> {
  return Object.fromEntries(
    Object.entries(rows).flatMap(([key, row]) => {
      const value = jsonOf(values[key] ?? [], row);
      const isDefault =
        row.otherwise !== undefined && JSON.stringify(value) === JSON.stringify(jsonOf(row.otherwise, row));
      return isDefault ? [] : [[key, value]];
    }),
  );
}

/** Integers are signals, numbers of groups and sizes, all of them exact as numbers of JSON. */
function jsonOf(value: Constant, row: ProfileValue): JsonConstant {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object') return value;
  if (isList(value)) return value.map((each) => jsonOf(each, row));
  return givenOf(value, 'tables' in row ? row.tables : {});
}

function isList(value: Constant): value is readonly Constant[] {
  return Array.isArray(value);
}

/** Renders it as text: each value on a line, of a list of tables below their names. */
export function renderProfile({ name, source, except, values }: ExplainedProfile): string {
  const lines = Object.entries(values).flatMap(([key, value]) =>
    isTables(value) ? value.flatMap((table) => tableLines(key, table)) : [`  ${lineOf(key, value)}`],
  );
  return [
    `profile ${name} (${source})`,
    ...(except.length === 0 ? [] : [`  without ${except.join(', ')}`]),
    ...lines,
  ].join('\n');
}

type JsonTable = Readonly<Record<string, JsonConstant>>;

function isTables(value: JsonConstant): value is readonly JsonTable[] {
  return Array.isArray(value) && value.some((each) => typeof each === 'object' && !Array.isArray(each));
}

function tableLines(key: string, { name, ...others }: JsonTable): readonly string[] {
  const lines = Object.entries(others).map(([member, value]) => `    ${lineOf(member, value)}`);
  return [name === undefined ? `  ${key}` : `  ${key} ${JSON.stringify(name)}`, ...lines];
}

function lineOf(key: string, value: JsonConstant): string {
  return `${key} = ${JSON.stringify(value)}`;
}
