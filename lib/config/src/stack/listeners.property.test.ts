import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import { groups, methodNames } from '@kata-agent/catalogue';
import * as fc from 'fast-check';
import { isServed } from '../api/served.js';
import { type Configuration, type ListenerSettings, loadConfiguration, type PeerList } from '../index.js';
import { dropIns, inputsOf } from '../loading.test.fixture.js';

const names = ['a', 'b', 'c'] as const;
type Name = (typeof names)[number];

/** What a document says of `[api]` or of a listener, as lines of TOML. */
type Lines = readonly string[];

/** A document: its `[api]`, other keys before it, and its entries of listeners. */
interface WrittenDocument {
  readonly api: Lines;
  readonly connections: number | undefined;
  readonly listeners: ReadonlyMap<Name, Lines>;
}

const endpoint = fc.constantFrom<string>(...methodNames, ...groups.keys(), '*');
const lists = fc
  .record(
    { allowed_endpoints: fc.uniqueArray(endpoint), blocked_endpoints: fc.uniqueArray(endpoint) },
    { requiredKeys: [] },
  )
  .map(linesOf);
const peer = fc.constantFrom('host', 'any', 'uid:0', 'uid:7', 'uid:8');
const connections = fc.integer({ min: 1, max: 100 });
const narrowing = fc.record(
  {
    allowed_endpoints: fc.uniqueArray(endpoint),
    blocked_endpoints: fc.uniqueArray(endpoint),
    peers: fc.uniqueArray(peer, { minLength: 1 }),
    limits: connections.map((count) => ({ connections: count })),
  },
  { requiredKeys: [] },
);
const own = fc.tuple(narrowing, fc.option(fc.constantFrom('error', 'eof'), { nil: undefined }));

const base: fc.Arbitrary<WrittenDocument> = fc
  .record({
    api: lists,
    connections: fc.option(connections, { nil: undefined }),
    listeners: fc.tuple(own, own, own),
  })
  .map(({ listeners, ...rest }) => ({
    ...rest,
    listeners: new Map(
      names.map((name, index) => {
        const [keys, answer] = listeners[index] ?? [{}, undefined];
        const more = answer === undefined ? {} : { on_denied_read: answer };
        return [name, linesOf({ address: `unix:///run/${name}`, ...keys, ...more })];
      }),
    ),
  }));
const later: fc.Arbitrary<WrittenDocument> = fc
  .record({
    api: lists,
    connections: fc.option(connections, { nil: undefined }),
    listeners: fc.array(fc.tuple(fc.constantFrom(...names), narrowing.map(linesOf)), { maxLength: 3 }),
  })
  .map(({ listeners, ...rest }) => ({ ...rest, listeners: new Map(listeners) }));
const stack = fc.record({ base, later: fc.array(later, { maxLength: 3 }) });

function linesOf(keys: object): Lines {
  return Object.entries(keys).map(([key, value]) => {
    const text = key === 'limits' ? `{ connections = ${value.connections} }` : JSON.stringify(value);
    return `${key} = ${text}`;
  });
}

function textOf({ api, connections: count, listeners }: WrittenDocument, more: Lines = []): string {
  return [
    '[api]',
    ...api,
    ...more,
    ...(count === undefined ? [] : ['[limits]', `connections = ${count}`]),
    ...[...listeners].flatMap(([name, lines]) => ['[[listener]]', `name = "${name}"`, ...lines]),
    '',
  ].join('\n');
}

async function load(documents: {
  readonly base: WrittenDocument;
  readonly later: readonly WrittenDocument[];
}): Promise<Configuration> {
  const delivery = ['[delivery]', 'accept = ["drop_ins"]', 'required = false'];
  const drops = Object.fromEntries(documents.later.map((document, index) => [`d${index}`, textOf(document)]));
  const inputs = inputsOf(textOf(documents.base, delivery), { delivery: [dropIns(drops)] });
  const loaded = await loadConfiguration(inputs);
  assert.ok(loaded.ok, loaded.ok ? '' : JSON.stringify(loaded.diagnostics));
  return loaded.configuration;
}

/** All that a configuration gives one listener. */
function grants(
  configuration: Configuration,
  name: Name,
): { readonly served: readonly string[]; readonly settings: ListenerSettings } {
  const settings = configuration.listeners.find((listener) => listener.name === name) ?? assert.fail(name);
  return {
    served: methodNames.filter((method) => isServed(configuration.api.documents, name, method)),
    settings,
  };
}

function without(document: WrittenDocument, others: readonly Name[]): WrittenDocument {
  return {
    ...document,
    listeners: new Map([...document.listeners].filter(([name]) => !others.includes(name))),
  };
}

test('over random stacks: what a listener has depends on [api], [limits] and its own entries only', async () => {
  let differed = 0;
  await fc.assert(
    fc.asyncProperty(
      stack,
      base,
      fc.array(later, { maxLength: 3 }),
      fc.constantFrom(...names),
      async (made, base, later, name) => {
        const found = grants(await load(made), name);
        const others = names.filter((other) => other !== name);
        const alone = {
          base: without(made.base, others),
          later: made.later.map((document) => without(document, others)),
        };
        assert.deepEqual(grants(await load(alone), name), found);
        const changed = (document: WrittenDocument, donor: WrittenDocument | undefined): WrittenDocument => ({
          ...document,
          listeners: new Map([
            ...without(document, others).listeners,
            ...[...(donor?.listeners ?? [])].filter(([other]) => other !== name),
          ]),
        });
        const mixed = {
          base: changed(made.base, base),
          later: made.later.map((document, index) => changed(document, later[index])),
        };
        const configuration = await load(mixed);
        assert.deepEqual(grants(configuration, name), found);
        if (others.some((other) => grants(configuration, other).served.length !== found.served.length))
          differed += 1;
      },
    ),
    { numRuns: runs(500) },
  );
  assert.ok(differed > timesSeen(100), `only ${differed} stacks had listeners that differ`);
});

const uids = [0, 7, 8, 9];

/** The users that a listener of a unix socket accepts; the agent's own user is root here. */
function accepted(peers: readonly PeerList[]): readonly number[] {
  const within = (list: PeerList, uid: number): boolean =>
    list.includes('any') || list.includes(`uid:${uid}`) || (uid === 0 && list.includes('host'));
  return uids.filter((uid) => peers.every((list) => within(list, uid)));
}

test('over random stacks: each further document only narrows, on each listener (S25)', async () => {
  let narrowed = 0;
  await fc.assert(
    fc.asyncProperty(stack, later, async (made, last) => {
      const before = await load(made);
      const after = await load({ ...made, later: [...made.later, last] });
      assert.deepEqual(
        after.listeners.map(({ name, address }) => [name, address]),
        before.listeners.map(({ name, address }) => [name, address]),
      );
      for (const name of names) {
        const was = grants(before, name);
        const is = grants(after, name);
        for (const method of is.served) assert.ok(was.served.includes(method), `${name} ${method}`);
        for (const uid of accepted(is.settings.peers))
          assert.ok(accepted(was.settings.peers).includes(uid), `${name} ${uid}`);
        assert.ok(is.settings.limits.connections <= was.settings.limits.connections);
        assert.equal(is.settings.onDeniedRead, was.settings.onDeniedRead);
        if (accepted(is.settings.peers).length < accepted(was.settings.peers).length) narrowed += 1;
      }
    }),
    { numRuns: runs(500) },
  );
  assert.ok(narrowed > timesSeen(10), `only ${narrowed} listeners had fewer peers`);
});

test('a peer must match each document that lists peers, in any order of the documents', async () => {
  const list = fc.uniqueArray(peer, { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(fc.array(list, { minLength: 1, maxLength: 4 }), async (all) => {
      const [first = [], ...rest] = all;
      const entry = (peers: readonly string[], more: object): WrittenDocument => ({
        api: [],
        connections: undefined,
        listeners: new Map([['a', linesOf({ ...more, peers })]]),
      });
      const { listeners } = await load({
        base: entry(first, { address: 'unix:///run/a' }),
        later: rest.map((peers) => entry(peers, {})),
      });
      const each = all.map((peers) => accepted([peers]));
      const expected = uids.filter((uid) => each.every((set) => set.includes(uid)));
      assert.deepEqual(accepted(listeners[0]?.peers ?? []), expected);
    }),
    { numRuns: runs(300) },
  );
});
