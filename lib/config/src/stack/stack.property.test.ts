import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
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
import { deliverySources, type Effective, type Inputs, loadConfiguration, settings } from '../index.js';
import { delivering, dropIns, inputsOf } from '../loading.test.fixture.js';
import { isServed } from '../api/served.js';

/** The lists and other keys of a generated document. */
interface Said {
  readonly allowed: readonly string[] | undefined;
  readonly blocked: readonly string[] | undefined;
  readonly listed: readonly string[] | undefined;
  readonly release: string | undefined;
  readonly ruled: readonly string[];
  readonly connections: number | undefined;
}

const entry = fc.constantFrom<string>(...methodNames, ...groups.keys(), '*');
const list = fc.option(fc.uniqueArray(entry, { maxLength: 6 }), { nil: undefined });

function given(index: number): fc.Arbitrary<{ readonly text: string; readonly given: Said }> {
  return fc
    .record({
      allowed: list,
      blocked: list,
      listed: list,
      release: fc.option(fc.constantFrom(...releases), { nil: undefined }),
      ruled: fc.uniqueArray(entry, { maxLength: 2 }),
      connections: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
    })
    .map((given) => ({ given, text: tomlOf(given, index) }));
}

function tomlOf({ allowed, blocked, release, ruled, connections }: Said, index: number): string {
  const line = (key: string, value: unknown): string =>
    value === undefined ? '' : `${key} = ${JSON.stringify(value)}\n`;
  return [
    '[api]\n',
    line('release', release),
    line('allowed_endpoints', allowed),
    line('blocked_endpoints', blocked),
    ruled.length === 0
      ? ''
      : `[[api.rule]]\nname = "r${index}"\nendpoints = ${JSON.stringify(ruled)}\nexpression = "true"\n`,
    connections === undefined ? '' : `[limits]\nconnections = ${connections}\n`,
  ].join('');
}

/**
 * Reports whether a document denies a method by docs/configuration.md, "What is served", as a second, simpler
 * implementation.
 */
function refuses({ allowed, blocked, listed, release }: Said, base: boolean, method: MethodName): boolean {
  const came = release === undefined || compareReleases(endpoints[method].release, release) <= 0;
  const covers = (list: readonly string[]): boolean =>
    list.some(
      (entry) =>
        entry === method ||
        (came && (entry === '*' || groups.get(entry as GroupName)?.methods.includes(method) === true)),
    );
  if (!came) return true;
  if (base && allowed === undefined && blocked === undefined && listed === undefined) return true;
  if (allowed !== undefined && !covers(allowed)) return true;
  if (listed !== undefined && !covers(listed)) return true;
  return blocked !== undefined && covers(blocked);
}

const opening = settings.filter((row) => row.opensGuest && row.override !== undefined);
const overrides = fc.record({
  flags: fc.dictionary(
    fc.constantFrom(...opening.map(({ key }) => key), 'log_level'),
    fc.constantFrom('true', '1', 'info', '/x', 'allow', 'all'),
    { maxKeys: 3 },
  ),
  environment: fc.dictionary(
    fc.constantFrom(
      ...settings.flatMap(({ override }) => (override === undefined ? [] : [override.environment])),
      'KATA_AGENT_CONFIG',
    ),
    fc.constantFrom('true', '1', 'info', '/x', 'allow', 'vsock://-1:7'),
    { maxKeys: 3 },
  ),
  words: fc.array(
    fc
      .tuple(
        fc.constantFrom(
          ...settings.flatMap(({ override }) => (override === undefined ? [] : [override.kernelWord])),
          'agent.config_file',
          'agent.listener',
          'agent.allowed_endpoints',
          '--',
        ),
        fc.constantFrom('', '=1', '=true', '=info', '=/open.toml', '=allow', '=unix:///run/x.sock'),
      )
      .map(([word, value]) => `${word}${value}`),
    { maxLength: 4 },
  ),
});

const names = ['initdata', 'fw_cfg', 'drop_ins', 'kernel_line'] as const;
const stack = fc.record({
  base: given(0),
  later: fc.array(fc.tuple(fc.constantFrom(...names), given(1)), { maxLength: 3 }),
  listener: fc.boolean(),
  lists: list,
  required: fc.boolean(),
  overridable: fc.constantFrom('', 'overridable = ["log_level"]\n', 'lock = true\n'),
  overrides,
});

type Stack = typeof stack extends fc.Arbitrary<infer S> ? S : never;

/** Writes the base document: it accepts all sources, and may have a listener. */
function baseText({ base, later, listener, lists, required, overridable }: Stack): string {
  const ways = [...new Set(later.map(([way]) => way))];
  return [
    overridable === '' ? '' : `[agent]\n${overridable}`,
    base.text,
    ways.length === 0
      ? ''
      : `[delivery]\naccept = ${JSON.stringify(ways)}\nbind = "none"\nrequired = ${required}\n`,
    listener ? '[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n' : '',
    listener && lists !== undefined ? `allowed_endpoints = ${JSON.stringify(lists)}\n` : '',
  ].join('');
}

/** Builds the inputs of a stack: of the kernel command line and initdata the last document is delivered. */
function inputsFor(made: Stack): { readonly inputs: Inputs; readonly documents: readonly Said[] } {
  const delivered = made.later.map(([way, { given, text }], index) => ({
    way,
    given,
    text: text.replace('"r1"', `"r${index + 1}"`),
  }));
  const line = made.overrides.words.join(' ');
  const onLine = delivered.findLast(({ way }) => way === 'kernel_line');
  const word = onLine === undefined ? '' : `agent.config_b64=${Buffer.from(onLine.text).toString('base64')} `;
  const kernelCommandLine = `${word}${line}`;
  const files = (way: string): Record<string, string> =>
    Object.fromEntries(
      delivered.flatMap((each, index) => (each.way === way ? [[`${way}-${index}`, each.text]] : [])),
    );
  // A device has one document.
  const lastOf = (way: string) => Object.fromEntries(Object.entries(files(way)).slice(-1));
  const inputs = inputsOf(baseText(made), {
    flags: made.overrides.flags,
    environment: made.overrides.environment,
    kernelCommandLine,
    delivery: [
      delivering('initdata', lastOf('initdata')),
      delivering('fw_cfg', files('fw_cfg')),
      dropIns(files('drop_ins')),
      ...deliverySources({ kernelCommandLine }).filter(({ name }) => name === 'kernel_line'),
    ],
  });
  const base = { ...made.base.given, listed: made.listener ? made.lists : undefined };
  const onDevice = delivered.findLast(({ way }) => way === 'initdata');
  const single = ['kernel_line', 'initdata'];
  const arrived = delivered.filter(
    (each) => !single.includes(each.way) || each === onLine || each === onDevice,
  );
  return { inputs, documents: [base, ...arrived.map(({ given }) => ({ ...given, listed: undefined }))] };
}

test('over random stacks and overrides: no method is served that a document denies or the base left closed', async () => {
  let loaded = 0;
  await fc.assert(
    fc.asyncProperty(stack, async (made) => {
      const { inputs, documents } = inputsFor(made);
      const outcome = await loadConfiguration(inputs);
      if (!outcome.ok) return;
      loaded += 1;
      const { configuration } = outcome;
      const listener = made.listener ? 'host' : 'server_addr';
      assert.deepEqual(
        configuration.listeners.map(({ name }) => name),
        [listener],
      );
      for (const method of methodNames) {
        const refused = documents.some((given, index) => refuses(given, index === 0, method));
        assert.equal(isServed(configuration.api.documents, listener, method), !refused, method);
      }
      const ruled = documents.filter(({ ruled }) => ruled.length > 0).length;
      assert.equal(configuration.api.documents.flatMap(({ rules }) => rules).length, ruled);
      const limits = documents.flatMap(({ connections }, index) => connections ?? (index === 0 ? [64] : []));
      assert.equal(configuration.limits.connections, Math.min(...limits));
    }),
    { numRuns: runs(1000) },
  );
  assert.ok(loaded > timesSeen(300), `only ${loaded} stacks were loaded`);
});

test('over random stacks: no override opens what the documents closed', async () => {
  let ignored = 0;
  await fc.assert(
    fc.asyncProperty(stack, async (made) => {
      const { inputs } = inputsFor(made);
      const outcome = await loadConfiguration(inputs);
      const { kernelCommandLine = '' } = inputs;
      const quiet = await loadConfiguration({
        ...inputs,
        flags: {},
        environment: {},
        kernelCommandLine: kernelCommandLine
          .split(' ')
          .filter((word) => word.startsWith('agent.config_b64'))
          .join(' '),
      });
      if (!outcome.ok || !quiet.ok || !quiet.configuration.restricted) return;
      ignored += outcome.configuration.ignoredOverrides.length;
      assert.equal(outcome.configuration.restricted, true);
      assert.equal(outcome.configuration.digest, quiet.configuration.digest);
      assert.deepEqual(outcome.configuration.api, quiet.configuration.api);
      for (const { section, key, value } of outcome.configuration.values) {
        const row = settings.find((row) => row.section === section && row.key === key);
        const own: Effective | undefined = quiet.configuration.values.find(
          (other) => other.section === section && other.key === key,
        );
        if (section !== 'agent' || row?.opensGuest === true) assert.deepEqual(value, own?.value, key);
      }
      const moved =
        made.overrides.environment['KATA_AGENT_SERVER_ADDR'] !== undefined &&
        !made.listener &&
        made.overridable === '';
      if (!moved) assert.deepEqual(outcome.configuration.listeners, quiet.configuration.listeners);
    }),
    { numRuns: runs(1000) },
  );
  assert.ok(ignored > timesSeen(200), `only ${ignored} overrides were ignored`);
});

test('over random stacks: withholding every delivered document is fatal while one is required', async () => {
  let tried = 0;
  await fc.assert(
    fc.asyncProperty(stack, async (made) => {
      fc.pre(made.required && made.later.some(([way]) => way !== 'drop_ins'));
      const { inputs } = inputsFor({ ...made, overrides: { flags: {}, environment: {}, words: [] } });
      const kept = inputs.delivery.filter(({ name }) => name === 'drop_ins');
      const empty = names.filter((name) => name !== 'drop_ins').map((name) => delivering(name, {}));
      const outcome = await loadConfiguration({
        ...inputs,
        kernelCommandLine: '',
        delivery: [...kept, ...empty],
      });
      assert.ok(!outcome.ok);
      // An invalid base document is reported first.
      const complete = await loadConfiguration(inputs);
      if (complete.ok) {
        tried += 1;
        assert.equal(outcome.exitCode, 3);
      }
    }),
    { numRuns: runs(300) },
  );
  assert.ok(tried > timesSeen(50), `only ${tried} were tried`);
});

test('a pinned document that differs in any one byte is fatal', async () => {
  const text = '[api]\nblocked_endpoints = ["ExecProcess"]\n';
  const pin = createHash('sha256').update(text).digest('hex');
  const base = `[api]\nallowed_endpoints = ["*"]\n[delivery]\naccept = ["initdata"]\nbind = "sha256:${pin}"\n`;
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bytes = Buffer.from(text);
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const delivery = [delivering('initdata', { a: '' }, { bytes, envelope: bytes })];
      const outcome = await loadConfiguration(inputsOf(base, { delivery }));
      assert.ok(!outcome.ok);
      assert.equal(outcome.exitCode, 3);
    }),
    { numRuns: runs(200) },
  );
});
