import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import {
  compareReleases,
  endpoints,
  type GroupName,
  groups,
  type MethodName,
  methodNames,
  releases,
} from '@kata-agent/catalogue';
import * as fc from 'fast-check';
import {
  checkDocument,
  type Loaded,
  loadConfiguration,
  parseApiFragment,
  renderDiagnostic,
  settings,
} from './index.js';
import { inputsOf } from './loading.test.fixture.js';
import { implicitListener } from './listener/listener-place.js';
import { parseKernelCommandLine } from './kernel-command-line.js';
import { isServed } from './api/served.js';

/** Fragments of documents, so that random input gets past the first character. */
const piece = fc.oneof(
  fc.constantFrom(
    '[',
    ']',
    '[[',
    ']]',
    '{',
    '}',
    '=',
    '.',
    ',',
    '"',
    "'",
    '"""',
    '\n',
    '\r\n',
    '\t',
    ' ',
    '#',
    '\\',
  ),
  fc.constantFrom(
    'agent',
    'api',
    'limits',
    'audit',
    'version',
    'rule',
    'listener',
    '__proto__',
    'constructor',
  ),
  fc.constantFrom(...settings.map(({ key }) => key), ...settings.map(({ example }) => example)),
  fc.constantFrom(
    ...methodNames.map((name) => `"${name}"`),
    ...Array.from(groups.keys(), (name) => `"${name}"`),
    '"*"',
  ),
  fc.constantFrom(
    'true',
    'false',
    '1',
    '-1',
    '3.21',
    '1e9',
    '0x10',
    'inf',
    '1979-05-27',
    '99999999999999999999',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  text.map((text) => new Uint8Array(Buffer.from(text))),
);

async function load(
  document: string | undefined,
  kernelCommandLine: string,
  flags = {},
  environment = {},
): Promise<Loaded> {
  return loadConfiguration(inputsOf(document, { flags, environment, kernelCommandLine }));
}

test('parsing any bytes never throws, and every diagnostic has its line', async () => {
  await fc.assert(
    fc.asyncProperty(bytes, async (bytes) => {
      const { diagnostics, exitCode } = await checkDocument(bytes, 'f');
      assert.equal(exitCode, diagnostics.some(({ severity }) => severity === 'error') ? 1 : 0);
      for (const diagnostic of diagnostics) {
        const rendered = renderDiagnostic(diagnostic);
        assert.doesNotMatch(rendered.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        assert.ok(rendered.split('\n').length <= 4);
        assert.ok(diagnostic.help !== undefined, rendered);
      }
    }),
    { numRuns: runs(3000) },
  );
});

test('SetPolicy never throws for any policy text', async () => {
  const rego = fc
    .array(
      fc.oneof(piece, fc.constantFrom('default ', 'package agent_policy\n', 'ExecProcessRequest', ' := ')),
    )
    .map((pieces) => pieces.join(''));
  await fc.assert(
    fc.asyncProperty(fc.oneof(text, rego), async (text) => {
      const fragment = await parseApiFragment(text, 'SetPolicy');
      assert.ok(fragment.ok || fragment.diagnostics.length > 0);
    }),
    { numRuns: runs(2000) },
  );
});

test('loading never throws for any kernel command line, and the result has every setting', async () => {
  const words = settings.flatMap(({ override }) => (override === undefined ? [] : [override.kernelWord]));
  const word = fc.oneof(
    fc.constantFrom(...words, 'agent.config_file', 'cgroup_no_v1', '--', 'agent.x'),
    fc.constantFrom('=', '"', ' ', '\n', 'all', 'true', '1', 'debug', '/c.toml'),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(word).map((words) => words.join('')),
      fc.option(text, { nil: undefined }),
      async (line, document) => {
        parseKernelCommandLine(line);
        const loaded = await load(document, line);
        if (loaded.ok) assert.equal(loaded.configuration.values.length, settings.length);
        else assert.ok(loaded.diagnostics.some(({ severity }) => severity === 'error'));
      },
    ),
    { numRuns: runs(2000) },
  );
});

test('overrides: command line over environment over kernel command line over document', async () => {
  const level = fc.option(fc.constantFrom('trace', 'debug', 'info', 'warn', 'error', 'critical'), {
    nil: undefined,
  });
  await fc.assert(
    fc.asyncProperty(level, level, level, level, async (flag, environment, kernel, document) => {
      const loaded = await load(
        `api.allowed_endpoints = ["*"]\n${document === undefined ? '' : `agent.log_level = "${document}"`}`,
        kernel === undefined ? '' : `agent.log=${kernel}`,
        flag === undefined ? {} : { log_level: flag },
        { KATA_AGENT_LOG_LEVEL: environment },
      );
      assert.ok(loaded.ok);
      const { settings, values } = loaded.configuration;
      assert.equal(settings.logLevel, flag ?? environment ?? kernel ?? document ?? 'info');
      const given = [flag, environment, kernel, document].filter((value) => value !== undefined);
      const effective = values.find(({ key }) => key === 'log_level');
      assert.equal(effective?.others.length, Math.max(given.length - 1, 0));
    }),
  );
});

test('no override changes a locked value, nor one that opens a restricted guest', async () => {
  const rows = settings.filter(({ override }) => override !== undefined);
  const override = fc.tuple(fc.constantFrom(...rows), fc.string(), fc.constantFrom('flag', 'environment'));
  await fc.assert(
    fc.asyncProperty(fc.array(override), fc.boolean(), async (overrides, lock) => {
      const chosen = lock ? overrides : overrides.filter(([row]) => row.opensGuest);
      const flags = chosen.filter(([, , way]) => way === 'flag').map(([row, text]) => [row.key, text]);
      const environment = chosen
        .filter(([, , way]) => way === 'environment')
        .map(([row, text]) => [row.override?.environment ?? '', text]);
      const document = `api.allowed_endpoints = ["@pod"]\n${lock ? 'agent.lock = true' : ''}`;
      const loaded = await load(document, '', Object.fromEntries(flags), Object.fromEntries(environment));
      const plain = await load(document, '');
      assert.ok(loaded.ok && plain.ok);
      assert.deepEqual(loaded.configuration.settings, plain.configuration.settings);
      const given =
        Object.keys(Object.fromEntries(flags)).length + Object.keys(Object.fromEntries(environment)).length;
      assert.equal(loaded.configuration.ignoredOverrides.length, given);
    }),
  );
});

const entry = fc.constantFrom<MethodName | GroupName | '*'>(...methodNames, ...groups.keys(), '*');
const list = fc.option(fc.uniqueArray(entry, { maxLength: 8 }), { nil: undefined });

/** The methods of a list, as a second, simpler implementation. */
function members(list: readonly string[], release: string | undefined): ReadonlySet<string> {
  const came = (method: MethodName): boolean =>
    release === undefined || compareReleases(endpoints[method].release, release) <= 0;
  return new Set(
    methodNames.filter((method) =>
      list.some((entry) => {
        if (entry === method) return true;
        return (
          came(method) &&
          (entry === '*' || (groups.get(entry as GroupName)?.methods.includes(method) ?? false))
        );
      }),
    ),
  );
}

test('lists expand to the methods of their entries, and restriction is detected', async () => {
  await fc.assert(
    fc.asyncProperty(
      list,
      list,
      fc.option(fc.constantFrom(...releases), { nil: undefined }),
      async (allowed, blocked, release) => {
        const lines = [
          ...(allowed === undefined ? [] : [`allowed_endpoints = ${JSON.stringify(allowed)}`]),
          ...(blocked === undefined ? [] : [`blocked_endpoints = ${JSON.stringify(blocked)}`]),
          ...(release === undefined ? [] : [`release = "${release}"`]),
        ];
        const loaded = await load(`[api]\n${lines.join('\n')}`, '');
        assert.ok(loaded.ok);
        const [document] = loaded.configuration.api.documents;
        assert.ok(document !== undefined);
        const covers = (map: ReadonlyMap<string, unknown> | undefined): unknown => map && new Set(map.keys());
        assert.deepEqual(covers(document.allowed), allowed && members(allowed, release));
        assert.deepEqual(covers(document.blocked), blocked && members(blocked, release));
        for (const map of [document.allowed, document.blocked]) {
          for (const [method, { entry, span }] of map ?? []) {
            assert.equal(span.endColumn - span.column, entry.length + 2);
            assert.ok(entry === method || entry === '*' || entry.startsWith('@'));
          }
        }
        const served = methodNames.filter((method) => isServed([document], implicitListener, method));
        assert.equal(loaded.configuration.restricted, served.length < methodNames.length);
      },
    ),
    { numRuns: runs(300) },
  );
});
