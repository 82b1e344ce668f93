import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '@kata-agent/ttrpc';
import { InnerLinks, type Linked } from './inner-agent.js';

/** Connections in memory; each is open until `close`. */
function connections(fails: () => boolean = () => false) {
  const links: { isOpen: boolean; close: () => void }[] = [];
  const connect = async (): Promise<Linked> => {
    await Promise.resolve();
    if (fails()) throw new Error('not there');
    const link = { isOpen: true, close: () => (link.isOpen = false) };
    links.push(link);
    return { link, peer: { pid: 1, uid: 0, gid: 0 } } as unknown as Linked;
  };
  return { links, all: new InnerLinks<object>({ connect }) };
}

test('a caller has one connection, also for concurrent calls, and another caller has another', async () => {
  const { links, all } = connections();
  const [a, b] = [{}, {}];
  const [first, second] = await Promise.all([all.of(a), all.of(a)]);
  assert.equal(first, second);
  assert.notEqual(await all.of(b), first);
  assert.equal(links.length, 2);
});

test('a lost connection is replaced once, and a failed one is tried again', async () => {
  let fails = false;
  const { links, all } = connections(() => fails);
  const caller = {};
  const first = await all.of(caller);
  links[0]?.close();
  const [second, third] = await Promise.all([all.of(caller), all.of(caller)]);
  assert.equal(second, third);
  assert.notEqual(second, first);
  links[1]?.close();
  fails = true;
  await assert.rejects(all.of(caller), { message: 'not there' });
  fails = false;
  await all.of(caller);
  assert.equal(links.length, 3);
});

test('the connection of a caller that is gone is closed, also while it is made, and there is no new one', async () => {
  const { links, all } = connections();
  const [open, opening] = [{}, {}];
  await all.of(open);
  const pending = all.of(opening);
  all.left(open);
  all.left(opening);
  await pending;
  assert.deepEqual(
    links.map(({ isOpen }) => isOpen),
    [false, false],
  );
  await assert.rejects(all.of(open), { code: Code.Canceled });
  assert.equal(all.size, 0);
});

test('when the agent ends all are closed, and there are no new ones', async () => {
  const { links, all } = connections();
  await all.of({});
  all.close();
  await Promise.resolve();
  assert.equal(links[0]?.isOpen, false);
  await assert.rejects(all.of({}), { code: Code.Canceled });
});
