import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareReleases, endpoints, type MethodName, methodNames, releases } from '@kata-agent/catalogue';
import {
  type ApiDocument,
  type DocumentReader,
  type EndpointLists,
  type ListEntry,
  loadConfiguration,
} from '@kata-agent/config';
import * as fc from 'fast-check';
import { compileGate, type Gate } from './index.js';

const method = fc.constantFrom(...methodNames);
const methods = fc.subarray([...methodNames]);

function listOf(names: readonly MethodName[]): ReadonlyMap<MethodName, ListEntry> {
  const span = { file: 'f', line: 1, column: 1, endColumn: 2 };
  return new Map(names.map((name) => [name, { entry: name, span }]));
}

const pair = { allowed: methods.map(listOf), blocked: methods.map(listOf) };
const lists: fc.Arbitrary<EndpointLists> = fc.record(pair, { requiredKeys: [] });

function documents(listeners: fc.Arbitrary<ApiDocument['listeners']>): fc.Arbitrary<ApiDocument> {
  return fc.record(
    {
      file: fc.constant('f'),
      rules: fc.constant([]),
      listeners,
      release: fc.constantFrom(...releases),
      ...pair,
    },
    { requiredKeys: ['file', 'rules', 'listeners'] },
  );
}

/** Without entries for single listeners. */
const plainDocument = documents(fc.constant(new Map()));
const document = documents(
  fc
    .array(fc.tuple(fc.constantFrom('a', 'b', 'c'), lists), { maxLength: 2 })
    .map((entries) => new Map(entries)),
);

const builtIn = fc.option(
  methods.map((names) => new Set(names)),
  { nil: undefined },
);

function gateFor(documents: readonly ApiDocument[], built?: ReadonlySet<MethodName>): Gate {
  const api = { documents, strict: false, onDeniedRead: 'error', deniedOutput: 'discard' } as const;
  return compileGate({ api }, { listeners: ['a', 'b'], ...(built === undefined ? {} : { builtIn: built }) });
}

/** The table of the documentation, written a second time, method by method, as plainly as can be. */
function expected(
  documents: readonly ApiDocument[],
  built: ReadonlySet<MethodName> | undefined,
  listener: string,
  name: MethodName,
): boolean {
  if (built !== undefined && !built.has(name)) return false;
  return documents.every((document, index) => {
    const { release } = document;
    if (release !== undefined && compareReleases(endpoints[name].release, release) > 0) return false;
    const own = document.listeners.get(listener) ?? {};
    const listed = [document, own].filter(({ allowed, blocked }) => (allowed ?? blocked) !== undefined);
    if (index === 0 && listed.length === 0) return false;
    return listed.every(
      ({ allowed, blocked }) => allowed?.has(name) !== false && blocked?.has(name) !== true,
    );
  });
}

test('a gate serves exactly what the rules say, on each listener', () => {
  fc.assert(
    fc.property(fc.array(document, { maxLength: 4 }), builtIn, (documents, built) => {
      const gate = gateFor(documents, built);
      for (const listener of ['a', 'b']) {
        const should = methodNames.filter((name) => expected(documents, built, listener, name));
        assert.deepEqual(gate.served(listener), should);
        for (const name of methodNames)
          assert.equal(gate.decide(listener, name).outcome, should.includes(name) ? 'allow' : 'deny');
      }
    }),
  );
});

test('what no catalogue knows is denied, whatever the documents say', () => {
  fc.assert(
    fc.property(
      fc.array(document, { maxLength: 3 }),
      fc.string(),
      fc.string(),
      (documents, listener, name) => {
        fc.pre(!(methodNames as readonly string[]).includes(name) || !['a', 'b'].includes(listener));
        assert.equal(gateFor(documents).decide(listener, name).outcome, 'deny');
      },
    ),
  );
});

test('tightening never serves what was not served, and is what a later document does', () => {
  fc.assert(
    fc.property(
      fc.array(document, { minLength: 1, maxLength: 3 }),
      fc.array(document, { maxLength: 4 }),
      (documents, fragments) => {
        let gate = gateFor(documents);
        for (const fragment of fragments) {
          const before = new Set(gate.served('a'));
          gate = gate.tighten(fragment);
          for (const name of gate.served('a')) assert.ok(before.has(name), name);
        }
        assert.deepEqual(gate.served('a'), gateFor([...documents, ...fragments]).served('a'));
      },
    ),
  );
});

test('the order of later documents does not matter', () => {
  fc.assert(
    fc.property(
      fc.option(document, { nil: undefined }),
      fc.array(document, { maxLength: 4 }).chain((later) => fc.tuple(fc.constant(later), shuffled(later))),
      (base, [later, other]) => {
        const gate = gateFor(base === undefined ? [] : [base]);
        const one = later.reduce((narrower, next) => narrower.tighten(next), gate);
        const two = other.reduce((narrower, next) => narrower.tighten(next), gate);
        assert.deepEqual(one.served('a'), two.served('a'));
      },
    ),
  );
});

test('tightening twice by the same document is tightening once', () => {
  fc.assert(
    fc.property(document, document, method, (base, fragment, name) => {
      const once = gateFor([base]).tighten(fragment);
      assert.equal(once.tighten(fragment).decide('a', name), once.decide('a', name));
    }),
  );
});

test('a configuration calls itself restricted exactly when its gate refuses a method', async () => {
  await fc.assert(
    fc.asyncProperty(plainDocument, async (written) => {
      const gate = gateFor([written]);
      assert.equal(await restricted(tomlOf(written)), gate.served('a').length < methodNames.length);
    }),
  );
});

function tomlOf({ release, allowed, blocked }: ApiDocument): string {
  const list = (key: string, names: ReadonlyMap<MethodName, ListEntry> | undefined) =>
    names === undefined ? '' : `${key} = ${JSON.stringify([...names.keys()])}\n`;
  const pin = release === undefined ? '' : `release = "${release}"\n`;
  return `[api]\n${pin}${list('allowed_endpoints', allowed)}${list('blocked_endpoints', blocked)}`;
}

async function restricted(toml: string): Promise<boolean> {
  const bytes = new TextEncoder().encode(toml);
  const files: DocumentReader = { read: () => ({ ok: true, bytes }) };
  const loaded = await loadConfiguration({
    flags: {},
    environment: {},
    configFlag: 'f',
    files,
    rules: () => Promise.reject(new Error('no rule was written')),
    delivery: [],
    hostData: () => ({ ok: false, message: 'no binding was written', help: '' }),
  });
  assert.ok(loaded.ok, toml);
  return loaded.configuration.restricted;
}

function shuffled<T>(items: readonly T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray([...items], { minLength: items.length });
}
