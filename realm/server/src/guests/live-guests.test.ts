import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuthorization } from '../authorization/parse-authorization.js';
import type { Guest, RemoteGuest } from '../guest.js';
import { AcceptedRemotes, type Held, LiveGuests } from './live-guests.js';

const ended: string[] = [];
const heldOf = (id: string, name: string, connection = 1): Held => ({
  id,
  name,
  entry: name,
  described: undefined,
  end: (why) => ended.push(`${name} ${connection}: ${why}`),
});
const lease = {
  epoch: 0,
  isValid: true,
  touch: (): void => undefined,
  release: async (): Promise<void> => undefined,
};
const guestOf = ({ id, name }: Held): Guest => ({ id, name }) as Guest;

test('a guest is found by its name, its ID, or the first 12 digits of that if they are unique', () => {
  const live = new LiveGuests();
  const ids = ['a'.repeat(64), `${'b'.repeat(20)}${'0'.repeat(44)}`, `${'b'.repeat(20)}${'1'.repeat(44)}`];
  for (const [index, id] of ids.entries()) {
    const held = heldOf(id, `g${index}`);
    live.hold(held);
    assert.equal(live.find(id), undefined, 'not shown yet');
    assert.ok(live.show(held, guestOf(held), lease));
  }
  assert.equal(live.find('g1')?.id, ids[1]);
  assert.equal(live.find('a'.repeat(12))?.name, 'g0');
  assert.equal(live.find('a'.repeat(11)), undefined);
  assert.equal(live.find('b'.repeat(12)), undefined);
  assert.equal(live.find(ids[2] ?? '')?.name, 'g2');
  assert.equal(live.find(''), undefined);
  assert.equal(live.list().length, 3);
});

test('a new connection of a guest ends the older one, which can then change nothing', () => {
  const live = new LiveGuests();
  const first = heldOf('a'.repeat(64), 'web');
  const second = heldOf('a'.repeat(64), 'web', 2);
  live.hold(first);
  live.show(first, guestOf(first), lease);
  live.hold(second);
  assert.deepEqual(ended, ['web 1: the guest has connected again']);
  assert.deepEqual(live.list(), []);
  assert.ok(!live.show(first, guestOf(first), lease));
  live.release(first);
  assert.equal(live.held().length, 1);
  assert.ok(live.show(second, guestOf(second), lease));
  live.release(second);
  assert.deepEqual([live.held(), live.list()], [[], []]);
});

const remoteOf = (digit: string, change: Partial<RemoteGuest> = {}): RemoteGuest => ({
  id: digit.repeat(64),
  name: 'web',
  entry: 'web',
  relay: 'operator-tls',
  attested: false,
  described: { version: '9.9', bootId: 'boot', configurationDigest: `sha256:${'1'.repeat(64)}` },
  connectedAt: 0,
  log: { state: 'none', records: 0, lastSequence: 0 },
  holder: { replica: 'b', epoch: 1 },
  ...change,
});

const authorizationOf = (text: string) => {
  const parsed = parseAuthorization(Buffer.from(text), 'realm.toml');
  assert.ok(parsed.ok);
  return parsed.authorization;
};

test('of the guests of other replicas those are shown that the own file accepts, under the same name', () => {
  const web = `[[guest]]\nname = "web"\nconfigurations = ["sha256:${'1'.repeat(64)}"]\n`;
  let authorization = authorizationOf(web);
  const attested = `${web}attested = true\n`;
  const lenient = new AcceptedRemotes(() => authorization, true);
  const strict = new AcceptedRemotes(() => authorization, false);
  const fitting = remoteOf('a');
  const shown = (accepted: AcceptedRemotes, guest: RemoteGuest): boolean => accepted.of([guest]).length === 1;
  assert.equal(shown(lenient, fitting), true);
  for (const [what, change] of [
    ['another name', { name: 'db' }],
    ['another entry', { entry: 'db' }],
    ['another configuration', { described: { ...fitting.described, configurationDigest: 'sha256:2' } }],
    ['no description', { described: undefined }],
  ] as const)
    assert.equal(shown(lenient, remoteOf('a', change as Partial<RemoteGuest>)), false, what);
  // Without evidence it is shown where guests without are accepted.
  assert.deepEqual([shown(strict, fitting), shown(strict, remoteOf('b', { attested: true }))], [false, true]);
  // Another file decides again about the same guest, and so does the first one when it is back.
  for (const [text, expected] of [
    [web.replace('"web"', '"other"'), false],
    [web, true],
    [attested, false],
  ] as const) {
    authorization = authorizationOf(text);
    assert.equal(shown(lenient, fitting), expected, text);
  }
});

test('a guest of this replica is shown instead of what another one says of it, and its name is held', () => {
  const remote = remoteOf('a');
  const live = new LiveGuests(
    () => [remote, remoteOf('b', { name: 'db' })],
    (guests) => guests.filter(({ name }) => name !== 'db'),
  );
  const held = heldOf('a'.repeat(64), 'web');
  live.hold(held);
  assert.deepEqual(live.list(), [remote]);
  assert.ok(live.show(held, guestOf(held), lease));
  assert.deepEqual(live.list(), [guestOf(held)]);
  // One that is not shown here has its name all the same.
  assert.ok(live.held().some(({ name }) => name === 'db'));
  assert.equal(live.own('b'.repeat(64)), undefined);
});
