import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Descriptor, loadSyscalls, RecordingSyscalls, type TaskTools } from '@kata-agent/linux';
import { kataLimits } from '../storage/drivers/mirror.js';
import { mediaTasks } from '../media-thread/tasks.js';

/** Tools of a task that has been given up, with files that are lent. */
function givenUp(context: TestContext, files: readonly [path: string, flags: string][]) {
  const syscalls = new RecordingSyscalls({ mount: () => undefined }, loadSyscalls());
  const lent = files.map(([path, flags]) => new Descriptor(syscalls, openSync(path, flags)));
  const commit = (): never => {
    throw new Error('given up');
  };
  const tools: TaskTools = {
    syscalls,
    lent,
    bytes: new Uint8Array(0),
    progress: () => undefined,
    commit,
    finish: commit,
  };
  context.after(() => {
    for (const each of lent) each.close();
  });
  return { syscalls, tools };
}

function directory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'kata-given-up-'));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('a task that was given up changes no attributes and no flags of a mount', async (context) => {
  const base = directory(context);
  mkdirSync(join(base, 'place'));
  chmodSync(join(base, 'place'), 0o700);
  const { syscalls, tools } = givenUp(context, [[base, 'r']]);
  const { setAttributes, remount } = mediaTasks;
  for (const run of [
    async () => setAttributes.run({ place: 'place', mode: 0o777 }, tools),
    async () => remount.run({ place: 'place', flags: 1 }, tools),
  ])
    await assert.rejects(run, /given up/);
  assert.equal(statSync(join(base, 'place')).mode & 0o777, 0o700);
  assert.deepEqual(syscalls.argumentsOf('mount'), []);
});

test('a task that was given up writes no older content over a newer copy', async (context) => {
  const base = directory(context);
  const [from, to] = [join(base, 'from'), join(base, 'to')];
  writeFileSync(from, 'older');
  writeFileSync(to, 'newer');
  const { tools } = givenUp(context, [
    [from, 'r'],
    [to, 'r+'],
  ]);
  const run = async () => mediaTasks.mirrorFile.run({ known: undefined, limits: kataLimits }, tools);
  await assert.rejects(run, /given up/);
  assert.equal(readFileSync(to, 'utf8'), 'newer');
});
