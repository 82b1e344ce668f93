import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';

/** Of the client that calls the agent. */
const goPackages = ['golang-go', 'golang-github-containerd-ttrpc-dev', 'golang-google-protobuf-dev'];

it('the container benchmark reports times of the agent and of plain runc and crun', {
  skip: whyNoContainers('runc', 'crun', ...goPackages) ?? false,
}, () => {
  const args = [join(repository, 'bench/dist/main.js'), '--quick', '--only', 'container', '--format', 'json'];
  const result = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(result.status, 0, result.stdout + result.stderr);
  const rows = JSON.parse(result.stdout) as readonly { readonly what: string; readonly ours: number }[];
  for (const runtime of ['runc', 'crun'])
    assert.ok(rows.some(({ what }) => what === `create and start of a container, ${runtime}`));
  assert.ok(rows.every(({ ours }) => ours > 0));
});
