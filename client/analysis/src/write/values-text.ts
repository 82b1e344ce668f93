import type { ProfileValue, ProfileValues } from '@kata-agent/catalogue/profiles';
import { profileName } from '@kata-agent/config';
import type { ContainerValues, Given, ProfileUse } from './profile-use.js';
import { reasonsText } from './reasons.js';

/** Returns the keys of `[api]` that name the profile, as TOML. */
export function profileText({ profile, except }: ProfileUse): string {
  const names = except.map((name) => JSON.stringify(name));
  const named = lineText(
    `profile_except = ${listText(names)}`,
    'Rules of the profile that this pod does not fit: its own, if any, are below.',
    `profile_except = ${listText(names, '')}`,
  );
  return (
    `# Rules of the agent for ${profile.purpose}: kata-agent-ctl config profile ${profile.name}\n` +
    `profile = "${profileName(profile)}"\n${except.length === 0 ? '' : named}`
  );
}

/** Returns `[api.values]` and its tables, each line with its origins. */
export function valuesText({ profile, values, containers }: ProfileUse): readonly string[] {
  const table = profile.values['container'];
  if (table === undefined || !('tables' in table)) throw new TypeError('the profile has no containers');
  return [
    `# What this pod has; everything else is the profile's.\n[api.values]\n${keysText(values, profile.values)}`,
    ...containers.map((each) => `[[api.values.container]]\n${keysText(each, table.tables)}`),
  ];
}

/** Keys with their default values are left out, and origins that the name of the table has. */
function keysText(given: ContainerValues, rows: ProfileValues): string {
  const { name } = given;
  const known = name === undefined || isList(name) ? undefined : name.because;
  return Object.entries(rows)
    .map(([key, row]) => {
      const own = given[key];
      if (own === undefined) return '';
      const isNamed = ({ because }: Given): boolean => key !== 'name' && because === known;
      const without = (each: Given): Given => (isNamed(each) ? { value: each.value } : each);
      return keyText(key, isList(own) ? own.map(without) : without(own), row);
    })
    .join('');
}

/** Taplo, which editors format TOML with, breaks longer lines. */
const width = 80;

/**
 * A key with its value, as Taplo formats it: on one line if that is short and all elements have one origin, or else each element of each
 * list on a line of its own. Comments are above, since Taplo aligns those behind lines; one inside a list is for the elements up to the
 * next.
 */
function keyText(key: string, given: Given | readonly Given[], row: ProfileValue): string {
  if (!isList(given)) {
    const { value, because } = given;
    return isDefault(value, row)
      ? ''
      : lineText(`${key} = ${toml(value, row)}`, because, `${key} = ${toml(value, row, '')}`);
  }
  const elements = withoutReasonFirst(given);
  const values = elements.map(({ value }) => value);
  if (isDefault(values, row)) return '';
  const reasons = [...new Set(elements.map(({ because }) => because))];
  if (reasons.length < 2)
    return lineText(`${key} = ${toml(values, row)}`, reasons[0], `${key} = ${toml(values, row, '')}`);
  const isShort = values.every((value) => `  ${toml(value, elementOf(row))},`.length <= width);
  const groups = reasons.map(
    (reason) =>
      commentLine(reason, '  ') +
      elements
        .filter(({ because }) => because === reason)
        .map(({ value }) => `  ${toml(value, elementOf(row), isShort ? undefined : '  ')},\n`)
        .join(''),
  );
  return `${key} = [\n${groups.join('')}]\n`;
}

function isList(given: Given | readonly Given[]): given is readonly Given[] {
  return Array.isArray(given);
}

/** A comment is for all elements up to the next one. */
function withoutReasonFirst(list: readonly Given[]): readonly Given[] {
  return [
    ...list.filter(({ because }) => because === undefined),
    ...list.filter(({ because }) => because !== undefined),
  ];
}

/** @param long in place of a line that is too long */
function lineText(line: string, because: string | undefined, long: string): string {
  return `${commentLine(because)}${line.length <= width ? line : long}\n`;
}

function commentLine(because: string | undefined, indent = ''): string {
  return because === undefined ? '' : `${indent}${reasonOf(because)}\n`;
}

function reasonOf(because: string | undefined): string {
  return because === undefined ? '' : reasonsText('#', { because: [because] });
}

function elementOf(row: ProfileValue): ProfileValue {
  if ('tables' in row) return row;
  return typeof row.type === 'object' && 'list' in row.type ? { ...row, type: row.type.list } : row;
}

/** Compares lists without their order: rules only ask what they have. */
function isDefault(value: unknown, { otherwise }: ProfileValue): boolean {
  return otherwise !== undefined && text(value) === text(otherwise);
}

function text(value: unknown): string {
  const plain =
    Array.isArray(value) && value.every((each) => typeof each === 'string') ? value.toSorted() : value;
  return JSON.stringify(plain, (_, each: unknown) => (typeof each === 'bigint' ? Number(each) : each));
}

/**
 * Returns a value in TOML; of a table only what differs from its default.
 *
 * @param indent the indentation of its line, if each element of each list has a line of its own; absent: all is on one line
 */
function toml(value: unknown, row: ProfileValue, indent?: string): string {
  if (Array.isArray(value)) {
    const inner = indent === undefined ? undefined : `${indent}  `;
    return listText(
      value.map((each) => toml(each, elementOf(row), inner)),
      indent,
    );
  }
  if (typeof value === 'object' && value !== null) {
    const rows = 'tables' in row ? row.tables : {};
    const keys = Object.entries(value).filter(([key, each]) => {
      const own = rows[key];
      return own !== undefined && !isDefault(each, own);
    });
    return `{ ${keys.map(([key, each]) => `${key} = ${toml(each, rows[key] ?? row, indent)}`).join(', ')} }`;
  }
  return typeof value === 'string' ? tomlString(value) : JSON.stringify(value);
}

function listText(elements: readonly string[], indent?: string): string {
  if (indent === undefined || elements.length === 0) return `[${elements.join(', ')}]`;
  return `[\n${elements.map((each) => `${indent}  ${each},\n`).join('')}${indent}]`;
}

/**
 * A basic string: TOML has no other escape for control characters than JSON has, and no unpaired surrogates, which no request can have
 * either.
 */
function tomlString(value: string): string {
  return JSON.stringify(Buffer.from(value).toString()).replaceAll(/[\u007f\p{Cf}\p{Zl}\p{Zp}]/gu, (found) => {
    const code = found.codePointAt(0) ?? 0;
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
