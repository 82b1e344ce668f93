import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { ChangeQueue, type ChangeScope } from './change-queue.js';

interface Asked {
  readonly scope: ChangeScope;
  /** Duration in turns of the event loop. */
  readonly turns: number;
  readonly fails: boolean;
}

interface Done extends Asked {
  began: number;
  ended: number;
}

const scope = fc.oneof(
  fc.constantFrom('a', 'b', 'c').map((container) => ({ container })),
  fc.constantFrom('sandbox' as const, 'whole' as const),
);
const asked = fc.record({ scope, turns: fc.nat(4), fails: fc.boolean() });

/** Reports whether the later change waits for the earlier one. */
function waits(earlier: ChangeScope, later: ChangeScope): boolean {
  if (later === 'whole' || earlier === 'whole') return true;
  if (later === 'sandbox') return earlier === 'sandbox';
  return earlier === 'sandbox' || earlier.container === later.container;
}

test('changes of overlapping scope keep their order, others never wait', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { maxLength: 12 }), async (all) => {
      const queue = new ChangeQueue();
      let clock = 0;
      const done: Done[] = all.map((each) => ({ ...each, began: 0, ended: 0 }));
      const results = done.map((each) =>
        queue.run(each.scope, async () => {
          each.began = clock += 1;
          for (let turn = 0; turn < each.turns; turn += 1) await setImmediate();
          each.ended = clock += 1;
          if (each.fails) throw new Error('failed');
        }),
      );
      const settled = await Promise.allSettled(results);
      assert.deepEqual(
        settled.map(({ status }) => status === 'rejected'),
        all.map(({ fails }) => fails),
      );
      for (const [index, later] of done.entries()) {
        for (const earlier of done.slice(0, index))
          if (waits(earlier.scope, later.scope)) assert.ok(earlier.ended < later.began);
      }
    }),
  );
});

test('a change that never ends blocks its own container, and changes of the whole sandbox', async () => {
  const queue = new ChangeQueue();
  let end = (): void => undefined;
  const hanging = queue.run(
    { container: 'a' },
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  let begun = 0;
  const count = async (): Promise<void> => {
    begun += 1;
  };
  const held = [queue.run({ container: 'a' }, count)];
  await Promise.all([queue.run({ container: 'b' }, count), queue.run('sandbox', count)]);
  await queue.run({ container: 'b' }, count);
  assert.equal(begun, 3);
  held.push(queue.run('whole', count), queue.run({ container: 'b' }, count));
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  assert.equal(begun, 3);
  end();
  await Promise.all([hanging, ...held]);
  assert.equal(begun, 6);
});

test('a closed queue runs the tasks queued before, and refuses later ones', async () => {
  const queue = new ChangeQueue();
  const before = queue.run('sandbox', async () => 'done');
  queue.close(() => new Error('closed'));
  await assert.rejects(
    queue.run({ container: 'a' }, async () => assert.fail('it ran')),
    /closed/,
  );
  assert.equal(await before, 'done');
});

test('Node does not exit before a task has ended', () => {
  const module = JSON.stringify(new URL('change-queue.js', import.meta.url).href);
  const program = `
    import { ChangeQueue } from ${module};
    void new ChangeQueue().run('sandbox', () => new Promise((resolve) => {
      setTimeout(resolve, 100).unref();
    })).then(() => console.log('done'));
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  assert.equal(output, 'done\n');
});
