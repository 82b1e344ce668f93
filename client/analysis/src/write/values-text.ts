import type { ProfileValue, ProfileValues } from '@kata-agent/catalogue/profiles';
import { profileName } from '@kata-agent/config';
import type { ContainerValues, Given, ProfileUse } from './profile-use.js';
import { commentedLines, reasonsText } from './reasons.js';

/** Returns the keys of `[api]` that name the profile, as TOML. */
export function profileText({ profile, except }: ProfileUse): string {
  const exceptions =
    except.length === 0
      ? ''
      : '# Rules of the profile that this pod does not fit: its own, if any, are below.\n' +
        `profile_except = [\n${except.map((name) => `  ${JSON.stringify(name)},\n`).join('')}]\n`;
  return (
    `# Rules of the agent for ${profile.purpose}: kata-agent-ctl config profile ${profile.name}\n` +
    `profile = "${profileName(profile)}"\n${exceptions}`
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

/** Keys with their default values are left out. */
function keysText(given: ContainerValues, rows: ProfileValues): string {
  return Object.entries(rows)
    .map(([key, row]) => {
      const own = given[key];
      return own === undefined ? '' : keyText(key, own, row);
    })
    .join('');
}

function keyText(key: string, given: Given | readonly Given[], row: ProfileValue): string {
  if (!isList(given)) {
    const { value, because } = given;
    return isDefault(value, row) ? '' : lineText(`${key} = ${toml(value, row)}`, because);
  }
  if (
    isDefault(
      given.map(({ value }) => value),
      row,
    )
  )
    return '';
  if (given.length === 0) return `${key} = []\n`;
  const [only] = given;
  if (given.length === 1 && only !== undefined && !('tables' in row)) {
    const line = `${key} = [${toml(only.value, elementOf(row))}]`;
    if (line.length <= 80) return lineText(line, only.because);
  }
  const lines = given.map(
    ({ value, because }) => [`  ${toml(value, elementOf(row))},`, reasonOf(because)] as const,
  );
  return `${key} = [\n${commentedLines(lines)}]\n`;
}

function isList(given: Given | readonly Given[]): given is readonly Given[] {
  return Array.isArray(given);
}

function lineText(line: string, because: string | undefined): string {
  return commentedLines([[line, reasonOf(because)]]).trimStart();
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

/** Returns a value in TOML, on one line; of a table only what differs from its default. */
function toml(value: unknown, row: ProfileValue): string {
  if (Array.isArray(value)) return `[${value.map((each) => toml(each, elementOf(row))).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const rows = 'tables' in row ? row.tables : {};
    const keys = Object.entries(value).filter(([key, each]) => {
      const own = rows[key];
      return own !== undefined && !isDefault(each, own);
    });
    return `{ ${keys.map(([key, each]) => `${key} = ${toml(each, rows[key] ?? row)}`).join(', ')} }`;
  }
  return typeof value === 'string' ? tomlString(value) : JSON.stringify(value);
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
