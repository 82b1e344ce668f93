import { endpoints, groups, methodNames } from '@kata-agent/catalogue';
import {
  type ConstantType,
  type ProfileValues,
  profiles,
  profileValues,
  ruleNameOf,
} from '@kata-agent/catalogue/profiles';
import {
  type EntryKeyRow,
  listenerKeys,
  profileKeys,
  ruleKeys,
  type SectionName,
  type SettingRow,
  secretKeys,
  settings,
  witnessKeys,
} from '@kata-agent/config';

/** A JSON Schema, or a part of one. */
export type JsonSchema = { readonly [keyword: string]: JsonValue };
type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonSchema;

/**
 * Returns the JSON Schema (draft 7) of a configuration, for editors: completion of keys and names, with descriptions.
 * It is generated from the loader's tables and accepts whatever the loader accepts. It checks neither CEL nor
 * combinations of keys: `config check` does.
 */
export function configurationSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $id: 'urn:kata-agent:configuration:1',
    title: 'Configuration of kata-agent',
    type: 'object',
    additionalProperties: false,
    properties: {
      version: { description: 'The version of this language.', const: 1 },
      agent: sectionSchema('agent'),
      api: sectionSchema('api', {
        rule: entriesSchema('A rule for requests.', Object.values(ruleKeys)),
        ...profileSchema(),
      }),
      listener: entriesSchema('An address on which the API is served.', Object.values(listenerKeys)),
      secret: entriesSchema('A sealed secret that the agent unseals.', Object.values(secretKeys)),
      delivery: sectionSchema('delivery'),
      measurement: sectionSchema('measurement'),
      image: sectionSchema('image'),
      evidence: sectionSchema('evidence'),
      audit: sectionSchema('audit', {
        witness: entriesSchema('A witness that cosigns checkpoints.', Object.values(witnessKeys)),
      }),
      limits: sectionSchema('limits'),
    },
    definitions: { endpoints: endpointsSchema() },
  };
}

function sectionSchema(section: SectionName, more: JsonSchema = {}): JsonSchema {
  const rows = settings.filter((row) => row.section === section && row.built !== 'later');
  return {
    type: 'object',
    additionalProperties: false,
    properties: { ...Object.fromEntries(rows.map((row) => [row.key, settingSchema(row)])), ...more },
  };
}

function settingSchema(row: SettingRow): JsonSchema {
  const unbuilt = row.built === 'kata' ? ' Not built yet: setting it has no effect.' : '';
  const unused = row.built === 'unused' ? " No effect: Kata's agent never uses it." : '';
  return {
    description: row.purpose + unbuilt + unused,
    ...valueSchema(row),
    ...(row.default === undefined ? {} : { default: jsonOf(row.type.write(row.default)) }),
  };
}

function entriesSchema(description: string, all: readonly EntryKeyRow[]): JsonSchema {
  const rows = all.filter((row) => row.built !== 'later');
  // In a further document a key that only the base document can set is missing.
  const required = rows.filter((row) => row.required && row.later).map((row) => row.key);
  return {
    description,
    type: 'array',
    items: {
      type: 'object',
      additionalProperties: false,
      required,
      properties: Object.fromEntries(
        rows.map((row) => [
          row.key,
          { description: `${row.purpose} Default: ${row.otherwise}.`, ...valueSchema(row) },
        ]),
      ),
    },
  };
}

function valueSchema({ key, type }: Pick<SettingRow | EntryKeyRow, 'key' | 'type'>): JsonSchema {
  // Defined once, and referenced from each list.
  if (key.endsWith('endpoints')) return { allOf: [{ $ref: '#/definitions/endpoints' }] };
  if (key === 'overridable') return { type: 'array', items: { enum: overridableKeys() } };
  return type.schema;
}

function overridableKeys(): readonly string[] {
  return settings.filter((row) => row.override !== undefined).map((row) => row.key);
}

function endpointsSchema(): JsonSchema {
  const entries: readonly (readonly [string, string])[] = [
    ['*', 'Every method.'],
    ...[...groups.values()].map((group) => [group.name, group.purpose] as const),
    ...methodNames.map((name) => [name, endpoints[name].purpose] as const),
  ];
  return {
    description: 'Names of methods, @groups, or "*" for all.',
    type: 'array',
    items: {
      enum: entries.map(([entry]) => entry),
      // Taplo, and so most TOML editors, show these next to the names.
      'x-taplo': { docs: { enumValues: entries.map(([, purpose]) => purpose) } },
    },
  };
}

/** A value in TOML that is not a table, written as in JSON. */
function jsonOf(toml: string): JsonValue {
  return JSON.parse(toml) as JsonValue;
}

/** The keys of `[api]` about a profile. Values are those of all profiles: the loader knows which the named one has. */
function profileSchema(): JsonSchema {
  const rules = new Set([...profiles.values()].flatMap((profile) => profile.rules.map(ruleNameOf)));
  return {
    profile: {
      description: profileKeys.profile,
      type: 'string',
      pattern: '^[a-z0-9][a-z0-9-]*@sha256:[0-9a-f]{64}$',
    },
    profile_except: {
      description: profileKeys.profile_except,
      type: 'array',
      items: { enum: [...rules] },
    },
    values: valuesSchema(profileValues, profileKeys.values),
  };
}

function valuesSchema(rows: ProfileValues, description: string): JsonSchema {
  return {
    description,
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      Object.entries(rows).map(([key, row]) => [
        key,
        'tables' in row
          ? { description: row.purpose, type: 'array', items: valuesSchema(row.tables, row.purpose) }
          : { description: row.purpose, ...constantSchema(row.type) },
      ]),
    ),
  };
}

function constantSchema(type: ConstantType): JsonSchema {
  if (typeof type === 'string')
    return { type: { string: 'string', pattern: 'string', bool: 'boolean', int: 'integer' }[type] };
  return 'list' in type ? { type: 'array', items: constantSchema(type.list) } : { type: 'object' };
}
