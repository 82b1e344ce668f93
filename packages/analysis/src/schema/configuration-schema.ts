import { endpoints, groups, methodNames } from '@kata-agent/catalogue';
import {
  type EntryKeyRow,
  listenerKeys,
  ruleKeys,
  type SectionName,
  type SettingRow,
  settings,
} from '@kata-agent/config';

/** A JSON Schema, or a part of one. */
export type JsonSchema = { readonly [keyword: string]: JsonValue };
type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonSchema;

/**
 * The JSON Schema (draft 7) of a configuration, for editors: it completes keys and names, and shows what each is for.
 * It is made from the tables that the loader reads by, so whatever the loader takes, it takes. It does not know what
 * CEL says, nor what two keys say together: `config check` does.
 */
export function configurationSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Configuration of kata-agent',
    type: 'object',
    additionalProperties: false,
    properties: {
      version: { description: 'The version of this language.', const: 1 },
      agent: sectionSchema('agent'),
      api: sectionSchema('api', { rule: entriesSchema('A rule over requests.', Object.values(ruleKeys)) }),
      listener: entriesSchema('A place where the API is served.', Object.values(listenerKeys)),
      delivery: sectionSchema('delivery'),
      measurement: sectionSchema('measurement'),
      audit: sectionSchema('audit'),
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
  const unbuilt = row.built === 'kata' ? ' Not built yet: setting it changes nothing.' : '';
  return {
    description: row.purpose + unbuilt,
    ...valueSchema(row),
    ...(row.default === undefined ? {} : { default: jsonOf(row.type.write(row.default)) }),
  };
}

function entriesSchema(description: string, all: readonly EntryKeyRow[]): JsonSchema {
  const rows = all.filter((row) => row.built !== 'later');
  // In a later document a key that only the base may have is missing.
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
          { description: `${row.purpose} Without it: ${row.otherwise}.`, ...valueSchema(row) },
        ]),
      ),
    },
  };
}

function valueSchema({ key, type }: Pick<SettingRow | EntryKeyRow, 'key' | 'type'>): JsonSchema {
  // Named once, and referred to from each list.
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
      // Taplo, and with it most TOML editors, shows these beside the names.
      'x-taplo': { docs: { enumValues: entries.map(([, purpose]) => purpose) } },
    },
  };
}

/** A value in TOML that is no table; those are written as JSON has them. */
function jsonOf(toml: string): JsonValue {
  return JSON.parse(toml) as JsonValue;
}
