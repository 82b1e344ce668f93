import {
  endpoints,
  groups,
  isMethodName,
  managementEndpoints,
  isManagementMethod,
} from '@kata-agent/catalogue';
import {
  type ConstantType,
  type ProfileValues,
  profiles,
  profileValues,
  ruleNameOf,
} from '@kata-agent/catalogue/profiles';
import {
  documentSections,
  type EntryKeyRow,
  profileKeys,
  profileName,
  type SettingRow,
  settings,
  type ValueSchema,
} from '@kata-agent/config';

/** A section or key that a document can have. */
export interface Key {
  readonly name: string;
  /** Of its value, such as `seconds, from 1 on`; of a section its header. */
  readonly type: string;
  /** Markdown. */
  readonly doc: string;
  /** Of its value; absent for a section. */
  readonly schema?: ValueSchema;
  /** Whether the value is a table, and of a section whether there are several. */
  readonly table: 'none' | 'one' | 'several';
  readonly keys: readonly Key[];
}

/** A value that can be written for a key, or into its list. */
export interface KnownValue {
  readonly value: string;
  /** Whether it is written in quotes. */
  readonly isText: boolean;
  readonly doc?: string;
}

/** A section as its header names it. */
export interface Section {
  readonly name: string;
  /** Whether there can be several. */
  readonly list: boolean;
  readonly purpose: string;
}

/** Every section of a document, those of a pod's values too. */
export const sections: readonly Section[] = [
  ...documentSections,
  { name: 'api.values', list: false, purpose: profileKeys.values },
  ...Object.entries(profileValues).flatMap(([name, row]) =>
    'tables' in row ? [{ name: `api.values.${name}`, list: true, purpose: row.purpose }] : [],
  ),
];

/** The keys at the top of a document. */
const topKeys: readonly Key[] = [
  {
    name: 'version',
    type: '1',
    doc: 'The version of this language.',
    schema: { type: 'integer', minimum: 1, maximum: 1 },
    table: 'none',
    keys: [],
  },
  ...documentSections.filter(({ name }) => !name.includes('.')).map(({ name }) => sectionKey(name)),
];

/** Returns the key at a path from the top; undefined if the language has none there. */
export function keyAt(path: readonly string[]): Key | undefined {
  let keys = topKeys;
  let found: Key | undefined;
  for (const name of path) {
    found = keys.find((key) => key.name === name);
    if (found === undefined) return undefined;
    ({ keys } = found);
  }
  return found;
}

/** Returns the keys of the table at a path. */
export function keysOf(path: readonly string[]): readonly Key[] {
  return path.length === 0 ? topKeys : (keyAt(path)?.keys ?? []);
}

/** Returns the values that a key can have: of a list, those of its entries. */
export function valuesOf(key: Key): readonly KnownValue[] {
  return key.schema === undefined ? [] : schemaValues(key.schema);
}

/** Describes an endpoint, a group, or a method of the management service; undefined for any other text. */
export function describeValue(value: string): string | undefined {
  if (value === '*') return 'Every method.';
  const group = [...groups.values()].find(({ name }) => name === value);
  if (group !== undefined) return `${group.purpose}\n\n${group.methods.join(', ')}`;
  if (isMethodName(value)) {
    const { purpose, exposure, without, release, groups: of } = endpoints[value];
    return [
      purpose,
      `A hostile caller: ${exposure}`,
      `Without it: ${without}`,
      `Since Kata ${release}${of.length === 0 ? '' : `; in ${of.join(', ')}`}.`,
    ].join('\n\n');
  }
  if (isManagementMethod(value)) return managementEndpoints[value].purpose;
  return describeOfProfile(value);
}

/** Describes the name of a profile, or of a rule that profiles have. */
function describeOfProfile(value: string): string | undefined {
  const all = [...profiles.values()];
  const named = all.find((profile) => profileName(profile) === value);
  if (named !== undefined) return `For ${named.purpose}.`;
  return all.flatMap(({ rules }) => rules).find((rule) => ruleNameOf(rule) === value)?.description;
}

function sectionKey(name: string): Key {
  const section = documentSections.find((each) => each.name === name);
  if (section === undefined) throw new TypeError(`there is no section ${name}`);
  const { list, purpose, rows } = section;
  const below = documentSections.filter((each) => each.name.startsWith(`${name}.`));
  return {
    name: name.slice(name.lastIndexOf('.') + 1),
    type: list ? `[[${name}]]` : `[${name}]`,
    doc: purpose,
    table: list ? 'several' : 'one',
    keys: [
      ...rows.map(rowKey),
      ...below.map((each) => sectionKey(each.name)),
      ...(name === 'api' ? keysOfProfile() : []),
    ],
  };
}

function keysOfProfile(): readonly Key[] {
  const all = [...profiles.values()];
  const rules = new Set(all.flatMap((profile) => profile.rules.map(ruleNameOf)));
  const row = { table: 'none', keys: [] } as const;
  return [
    {
      ...row,
      name: 'profile',
      type: 'name of a profile',
      doc: profileKeys.profile,
      schema: { enum: all.map(profileName) },
    },
    {
      ...row,
      name: 'profile_except',
      type: 'list of rules',
      doc: profileKeys.profile_except,
      schema: { type: 'array', items: { enum: [...rules] } },
    },
    {
      name: 'values',
      type: '[api.values]',
      doc: profileKeys.values,
      table: 'one',
      keys: valueKeys(profileValues, 'api.values'),
    },
  ];
}

/** @param section whose tables have headers; in a table of one they are inline */
function valueKeys(rows: ProfileValues, section?: string): readonly Key[] {
  return Object.entries(rows).map(([name, row]) => {
    const doc = row.otherwise === undefined ? `${row.purpose}\n\nRequired.` : row.purpose;
    if (!('tables' in row)) {
      const values = row.type === 'bool' ? ({ schema: { type: 'boolean' } } as const) : {};
      return { name, type: constantName(row.type), doc, ...values, table: 'none', keys: [] };
    }
    const type = section === undefined ? 'list of tables' : `[[${section}.${name}]]`;
    return { name, type, doc, table: 'several', keys: valueKeys(row.tables) };
  });
}

function constantName(type: ConstantType): string {
  if (typeof type !== 'string') return 'list' in type ? `list of ${constantName(type.list)}` : 'table';
  return { string: 'text', pattern: 'pattern', bool: 'boolean', int: 'integer' }[type];
}

function rowKey(row: SettingRow | EntryKeyRow): Key {
  const schema = schemaOf(row);
  return {
    name: row.key,
    type: row.type.name,
    doc: [row.purpose, ...notes(row), `Example: \`${row.key} = ${row.example}\``].join('\n\n'),
    schema,
    ...tableKeys(schema),
  };
}

function notes(row: SettingRow | EntryKeyRow): readonly string[] {
  if ('table' in row) {
    const text = row.required ? 'Required.' : `Default: ${row.otherwise}.`;
    return row.later ? [text] : [`${text} Only the base document can have it.`];
  }
  const preset = row.default === undefined ? 'none' : `\`${row.type.write(row.default)}\``;
  const built =
    row.built === 'yes' ? [] : [row.built === 'unused' ? 'It has no effect.' : 'It is not built yet.'];
  return [
    ...built,
    `Default: ${preset}. Merge: ${row.merge}.${row.opensGuest ? ' It opens the guest.' : ''}`,
  ];
}

function schemaOf(row: SettingRow | EntryKeyRow): ValueSchema {
  if (row.key !== 'overridable') return row.type.schema;
  const keys = settings.filter(({ override }) => override !== undefined).map(({ key }) => key);
  return { type: 'array', items: { enum: keys } };
}

/** Returns the keys of an inline table, or of the tables of a list. */
function tableKeys(schema: ValueSchema): Pick<Key, 'table' | 'keys'> {
  const inner = 'type' in schema && schema.type === 'array' ? schema.items : schema;
  if (!('properties' in inner)) return { table: 'none', keys: [] };
  const keys = Object.entries(inner.properties).map(([name, value]) => ({
    name,
    type: typeOf(value),
    doc: '',
    schema: value,
    ...tableKeys(value),
  }));
  return { table: inner === schema ? 'one' : 'several', keys };
}

function typeOf(schema: ValueSchema): string {
  if ('enum' in schema) return schema.enum.map((word) => JSON.stringify(word)).join(', ');
  if ('anyOf' in schema) return schema.anyOf.map(typeOf).join(' or ');
  switch (schema.type) {
    case 'array':
      return `list of ${typeOf(schema.items)}`;
    case 'object':
      return 'table';
    case 'string':
      return 'text';
    default:
      return schema.type;
  }
}

function schemaValues(schema: ValueSchema): readonly KnownValue[] {
  if ('enum' in schema)
    return schema.enum.map((value) => {
      const doc = describeValue(value);
      return { value, isText: true, ...(doc === undefined ? {} : { doc }) };
    });
  if ('anyOf' in schema) return schema.anyOf.flatMap(schemaValues);
  if (schema.type === 'boolean') return ['true', 'false'].map((value) => ({ value, isText: false }));
  return schema.type === 'array' ? schemaValues(schema.items) : [];
}
