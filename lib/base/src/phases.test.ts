import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Phases } from './phases.js';

interface Start {
  readonly trace: string[];
}

function open({ trace }: Start): number {
  trace.push('open');
  return 1;
}

async function read({ trace, opened }: Start & { readonly opened: number }): Promise<string> {
  trace.push(`read ${opened}`);
  await Promise.resolve();
  return 'text';
}

/** Needs the effect of `read`, and nothing that it returned. */
function close({ trace }: Start & { readonly text: string }): void {
  trace.push('close');
}

test('each phase gets what the earlier ones promised', async () => {
  const phases = Phases.from<Start>().add('opened', open).add('text', read).add('closed', close);
  const trace: string[] = [];
  assert.deepEqual(await phases.run({ trace }), { trace, opened: 1, text: 'text', closed: undefined });
  assert.deepEqual(trace, ['open', 'read 1', 'close']);
});

test('phases that change place do not compile', () => {
  // @ts-expect-error: it needs what is opened.
  Phases.from<Start>().add('text', read);
  // @ts-expect-error: nothing has been read, though only the effect of reading is needed.
  Phases.from<Start>().add('opened', open).add('closed', close);
  const all = Phases.from<Start>().add('opened', open).add('text', read).add('closed', close);
  // @ts-expect-error: a phase does not say that it comes after the last one.
  all.add('again', read);
  // @ts-expect-error: two phases have one name.
  all.add('text', close);
});

test('phases that do not wait run without another task between them; the first error ends the run', async () => {
  const trace: string[] = [];
  const failing = Phases.from<Start>()
    .add('opened', open)
    .add('failed', (needs: Start & { readonly opened: number }): void => {
      needs.trace.push(`failed ${needs.opened}`);
      throw new Error('no');
    })
    .add('text', (needs: Start & { readonly failed: void }) => needs.trace.push('never'));
  const run = failing.run({ trace });
  assert.deepEqual(trace, ['open', 'failed 1']);
  await assert.rejects(run, /^Error: no$/);
});
