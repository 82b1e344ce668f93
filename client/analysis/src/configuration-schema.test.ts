import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import {
  decodeDocument,
  type EntryKeyRow,
  listenerKeys,
  parseToml,
  ruleKeys,
  secretKeys,
  type SettingRow,
  settings,
  type TomlValue,
  witnessKeys,
} from '@kata-agent/config';
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { starters } from './starters.js';
import { exampleFiles } from './testing/example-files.js';
import { configurationSchema } from './configuration-schema.js';

const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true });
ajv.addVocabulary(['x-taplo']);
const validate = ajv.compile(configurationSchema());

function plain(value: TomlValue): unknown {
  switch (value.kind) {
    case 'table':
      return Object.fromEntries([...value.entries].map(([key, entry]) => [key, plain(entry.value)]));
    case 'array':
      return value.items.map(plain);
    case 'integer':
      return Number(value.value);
    case 'float':
      return Number(value.text);
    case 'date':
      return value.text;
    default:
      return value.value;
  }
}

function read(text: string): { readonly toml: TomlValue; readonly value: unknown } {
  const decoded = decodeDocument(new TextEncoder().encode(text), 'test.toml');
  assert.ok(decoded.ok, text);
  const parsed = parseToml(decoded.source);
  assert.ok(parsed.ok, `${text}\n${JSON.stringify(parsed)}`);
  return { toml: parsed.root, value: plain(parsed.root) };
}

/** Returns the locations of schema errors: `/agent/log_level`. */
function faults(text: string): readonly string[] {
  validate(read(text).value);
  return [...new Set((validate.errors ?? []).map(({ instancePath }) => instancePath))];
}

test('every example and starter is valid', () => {
  const { configurations } = exampleFiles();
  assert.ok(configurations.length >= 6);
  for (const path of configurations) assert.deepEqual(faults(readFileSync(path, 'utf8')), [], path);
  for (const { name, text } of starters) assert.deepEqual(faults(text), [], name);
});

const keys: readonly (readonly [string, SettingRow | EntryKeyRow])[] = [
  ...settings.map((row) => [`[${row.section}]`, row] as const),
  ...Object.values(ruleKeys).map(
    (row) => ['[[api.rule]]\nname = "n"\nendpoints = ["*"]\nexpression = "true"', row] as const,
  ),
  ...Object.values(listenerKeys).map((row) => ['[[listener]]\nname = "n"', row] as const),
  ...Object.values(secretKeys).map((row) => ['[[secret]]', row] as const),
  ...Object.values(witnessKeys).map((row) => ['[[audit.witness]]', row] as const),
];

test('every key accepts its example, has a description, and rejects a table', () => {
  for (const [head, row] of keys) {
    const given = head
      .split('\n')
      .filter((line) => !line.startsWith(`${row.key} = `))
      .join('\n');
    const found = faults(`${given}\n${row.key} = ${row.example}\n`);
    if (row.built === 'later') assert.notDeepEqual(found, [], row.key);
    else assert.deepEqual(found, [], `${row.key} = ${row.example}`);
    assert.notDeepEqual(faults(`${given}\n${row.key} = { x = {} }\n`), [], row.key);
  }
});

test('a key has its description and its default', () => {
  const text = JSON.stringify(configurationSchema());
  for (const row of settings.filter(({ built }) => built !== 'later')) {
    assert.ok(text.includes(JSON.stringify(row.purpose).slice(1, -1)), row.key);
    if (row.default !== undefined)
      assert.ok(
        text.includes(`"default":${JSON.stringify(JSON.parse(row.type.write(row.default)))}`),
        row.key,
      );
  }
});

test('errors are found at their location', () => {
  const wrong: Readonly<Record<string, string>> = {
    'agents = 1': '',
    'version = 2': '/version',
    '[agent]\nlog_levle = "info"': '/agent',
    '[agent]\nlog_level = "loud"': '/agent/log_level',
    '[agent]\nlog_level = true': '/agent/log_level',
    '[agent]\ndebug_console = "true"': '/agent/debug_console',
    '[agent]\nlog_vport = -1': '/agent/log_vport',
    '[agent]\nserver_addr = "tcp://1.2.3.4:5"': '/agent/server_addr',
    '[agent]\noci_runtime = "runc"': '/agent/oci_runtime',
    '[agent]\noci_runtime = "/usr/../bin/runc"': '/agent/oci_runtime',
    '[agent]\noverridable = ["lock"]': '/agent/overridable/0',
    '[agent]\ncontainer_pipe_size = "2mb"': '/agent/container_pipe_size',
    '[api]\nallowed_endpoints = "*"': '/api/allowed_endpoints',
    '[api]\nallowed_endpoints = ["ExecProcessRequest"]': '/api/allowed_endpoints/0',
    '[api]\nblocked_endpoints = ["ExecProcess", "@pods"]': '/api/blocked_endpoints/1',
    '[api]\nrelease = 3.2': '/api/release',
    '[api]\nrelease = "1.12"': '/api/release',
    '[api]\ndenied_output = "64 kilobytes"': '/api/denied_output',
    '[[api.rule]]\nname = "n"\nendpoints = ["*"]': '/api/rule/0',
    '[[api.rule]]\nname = "n n"\nendpoints = ["*"]\nexpression = "true"': '/api/rule/0/name',
    '[[api.rule]]\nname = "n"\nendpoints = ["all"]\nexpression = "true"': '/api/rule/0/endpoints/0',
    '[[api.rule]]\nname = "n"\nendpoints = ["*"]\nexpression = true': '/api/rule/0/expression',
    '[[api.rule]]\nname = "n"\nendpoints = ["*"]\nexpression = "true"\nenforcement = "off"':
      '/api/rule/0/enforcement',
    '[api.rule]\nname = "n"': '/api/rule',
    '[[listener]]\naddress = "vsock://-1:1024"': '/listener/0',
    '[[listener]]\nname = "host"\npeers = ["everyone"]': '/listener/0/peers/0',
    '[delivery]\naccept = ["email"]': '/delivery/accept/0',
    '[delivery]\nbind = "sha256:12"': '/delivery/bind',
    '[measurement]\npcr = 24': '/measurement/pcr',
    '[measurement]\ntpm = "on"': '/measurement/tpm',
    '[audit]\nfile = "audit.log"': '/audit/file',
    '[limits]\nconnections = 0': '/limits/connections',
    '[limits]\nframe_timeout = "10 s"': '/limits/frame_timeout',
  };
  for (const [text, place] of Object.entries(wrong)) assert.ok(faults(text).includes(place), text);
});

function wordsOf(schema: SettingRow['type']['schema']): readonly string[] {
  if ('enum' in schema) return schema.enum;
  if ('anyOf' in schema) return schema.anyOf.flatMap(wordsOf);
  return 'items' in schema ? wordsOf(schema.items) : [];
}

test('the schema accepts whatever the loader accepts', () => {
  const word = fc.constantFrom(
    ...keys.flatMap(([, row]) => wordsOf(row.type.schema)),
    ...keys.flatMap(([, { example }]) => (example.startsWith('"') ? [JSON.parse(example) as string] : [])),
    'true',
    'max',
    'discard',
    'default',
    'warning',
    'host_data',
    '/a',
    '/a/b.c',
    '//',
    '/a/',
    '0',
    '5',
    '10s',
    '500ms',
    '1h',
    '64KiB',
    '64 KiB',
    '1 GiB',
    '3.21',
    '3.21.0',
    '2.0',
    'vsock://-1:1',
    'vsock://3:0',
    'unix://@a',
    'unix:///a b',
    'http://p:1',
    'A:',
    'host',
    'cid:3',
    'uid:0',
    'initdata',
    'log_level',
    'x',
    '\u{1f600}',
    ' ',
  );
  const texts = fc.oneof(
    word,
    fc.string({ maxLength: 6 }),
    fc.tuple(word, word).map((pair) => pair.join('')),
  );
  const value = fc.oneof(
    texts.map((text) => JSON.stringify(text)),
    fc.integer({ min: -2, max: 300 }).map(String),
    fc.constantFrom('true', 'false', '65536', '2147483', '4294967294', '9007199254740991', '1.5', '[]', '{}'),
    fc
      .array(
        texts.map((text) => JSON.stringify(text)),
        { maxLength: 2 },
      )
      .map((items) => `[${items.join(', ')}]`),
  );
  const open = keys.filter(
    ([, { built, key }]) => built !== 'later' && !key.endsWith('endpoints') && key !== 'overridable',
  );
  const compiled = new Map(open.map(([, row]) => [row, ajv.compile({ ...row.type.schema })]));
  const taken = new Set<SettingRow | EntryKeyRow>();
  fc.assert(
    fc.property(value, (text) => {
      const { toml } = read(`x = ${text}`);
      const node = toml.kind === 'table' ? toml.entries.get('x')?.value : undefined;
      assert.ok(node !== undefined);
      for (const [row, check] of compiled) {
        if (!row.type.fromToml(node).ok) continue;
        assert.ok(check(plain(node)), `${row.key} = ${text}`);
        taken.add(row);
      }
    }),
    { numRuns: runs(1000) },
  );
  assert.ok(taken.size > open.length / 2, 'too few valid values were generated');
});
