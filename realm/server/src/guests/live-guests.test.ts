import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Guest } from '../guest.js';
import { type Held, LiveGuests } from './live-guests.js';

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
