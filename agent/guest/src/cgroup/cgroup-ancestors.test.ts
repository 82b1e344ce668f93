import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeTree } from '../testing/tree.js';
import { CgroupAncestors } from './cgroup-ancestors.js';

test('created parents of cgroups are removed with the last container, existing ones are kept', (t) => {
  const root = makeTree({ 'memory/old/x': '', 'cpu/x': '' });
  const record = join(root, 'record');
  t.after(() => rmSync(root, { recursive: true }));
  const ancestors = new CgroupAncestors(root, record);
  for (const name of ['a', 'b']) ancestors.arrived(ancestors.expect(`/old/new/${name}`));
  for (const name of ['memory/old/new/a', 'memory/old/new/b', 'cpu/old/new/a'])
    mkdirSync(join(root, name), { recursive: true });
  for (const name of ['memory/old/new/a', 'cpu/old/new/a']) rmSync(join(root, name), { recursive: true });
  ancestors.sweep();
  assert.ok(existsSync(record));
  assert.ok(existsSync(join(root, 'memory/old/new')) && !existsSync(join(root, 'cpu/old')));
  rmSync(join(root, 'memory/old/new/b'), { recursive: true });
  new CgroupAncestors(root, record).sweep();
  assert.ok(!existsSync(record), 'another agent can finish it');
  assert.ok(!existsSync(join(root, 'memory/old/new')) && existsSync(join(root, 'memory/old')));
});

test('the parents of a cgroup that is being created stay, even if empty', (t) => {
  const root = makeTree({ 'cgroup.controllers': '' });
  t.after(() => rmSync(root, { recursive: true }));
  const ancestors = new CgroupAncestors(root, join(root, 'record'));
  const first = ancestors.expect('/pod/a');
  mkdirSync(join(root, 'pod'));
  const second = ancestors.expect('/pod/b');
  ancestors.sweep(first);
  assert.ok(existsSync(join(root, 'pod')));
  ancestors.sweep(second);
  assert.ok(!existsSync(join(root, 'pod')));
});
