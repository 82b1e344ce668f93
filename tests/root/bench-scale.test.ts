import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';

const goPackages = ['golang-go', 'golang-github-containerd-ttrpc-dev', 'golang-google-protobuf-dev'];

interface Row {
  readonly part: string;
  readonly what: string;
  readonly ours: number;
  readonly against?: { readonly value: number };
}

it('the scale benchmark measures containers, streams, lives and calls, and leaves nothing open', {
  skip: whyNoContainers('crun', ...goPackages) ?? false,
}, () => {
  const args = [join(repository, 'bench/dist/main.js'), '--quick', '--only', 'scale', '--format', 'json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  const rows = JSON.parse(stdout) as readonly Row[];
  assert.deepEqual(
    [...new Set(rows.map(({ part }) => part))],
    ['scale-containers', 'scale-streams', 'scale-lives', 'scale-calls'],
  );
  assert.ok(
    rows.every(({ ours }) => ours > 0),
    stdout,
  );
  // The measurement of streams begins with containers.
  const of = (part: string) =>
    rows.find((row) => row.part === part && row.what === 'file descriptors, with all removed');
  // Two of the threads for the host's files, with four descriptors each, may not have ended yet. Four containers with four execs have 130.
  const { ours = Infinity, against: { value = 0 } = {} } = of('scale-containers') ?? {};
  assert.ok(ours <= value + 8, `${ours} descriptors, ${value} before`);
  assert.ok((of('scale-streams')?.ours ?? Infinity) < (of('scale-streams')?.against?.value ?? 0));
  // Progress.
  assert.match(stderr, /^ {2}4 containers after /m);
});
