import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { WaitingConnections } from './connection-bounds.js';

const begin = (): void => undefined;
const always = (_group: string): boolean => true;

test('groups of addresses take turns, each in order of arrival', () => {
  const waiting = new WaitingConnections({ connections: 9, perAddress: 9 });
  const names = new Map<Socket, string>();
  for (const name of ['a1', 'a2', 'a3', 'b1', 'b2']) {
    const socket = new Socket();
    names.set(socket, name);
    assert.ok(waiting.add(socket, { group: name.slice(0, 1), begin }));
  }
  const next = (hasPlace = always): string | undefined => {
    const found = waiting.next(hasPlace);
    return found === undefined ? undefined : names.get(found[0]);
  };
  assert.deepEqual([next(), next(), next()], ['a1', 'b1', 'a2']);
  assert.equal(
    next((group) => group === 'a'),
    'a3',
  );
  assert.equal(
    next((group) => group === 'a'),
    undefined,
  );
  assert.deepEqual([next(), next()], ['b2', undefined]);
});

test('are bounded, together and for each group, and places become free', () => {
  const waiting = new WaitingConnections({ connections: 3, perAddress: 2 });
  const add = (group: string): Socket | undefined => {
    const socket = new Socket();
    return waiting.add(socket, { group, begin }) ? socket : undefined;
  };
  const first = add('a');
  assert.ok(first !== undefined && add('a') !== undefined);
  assert.equal(add('a'), undefined);
  assert.ok(add('b'));
  assert.equal(add('c'), undefined);
  waiting.remove(first, { group: 'a' });
  waiting.remove(first, { group: 'a' });
  assert.ok(add('c'));
  assert.equal(add('b'), undefined);
  assert.equal(waiting.sockets().length, 3);
});
