import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Expected, expectedOf, setups, workloadFiles } from './expected-requests.js';
import { pairRefusal, pairs } from './pairs.js';

// Whether a generated configuration knows which volume, container and exec of the pod each one of a request is (S38). With
// KATA_MUTATIONS=all every pair of every workload; by default those of two workloads, and a sample of the others.

const isEverything = process.env['KATA_MUTATIONS'] === 'all';
/** All pairs of these are tried; of the others so many of each kind in each setup. */
const whole: readonly string[] = ['volumes.yaml', 'configmaps.yaml'];
const sampled = isEverything ? Number.POSITIVE_INFINITY : 4;

/** Pairs that are allowed, and why. */
const reviewed: readonly { readonly about: RegExp; readonly why: string }[] = [
  {
    about: /^mounts merged: \S+ with (prepare|init)=\/dev\/termination-log, .*shared-fs/,
    why: 'The host chooses the names of claims and of termination messages, and what it shows there: the container was removed, and its file is on the host.',
  },
  {
    about: /^(mounts|storages) swapped: .*confidential/,
    why: 'Blank disks of one request: it decides which of them is which volume, and that holds for all later requests.',
  },
  {
    about: /^disks merged: \S+\/rootfs with \S+\/rootfs, .*erofs(, verified)?$/,
    why: 'A layer from another disk: the guest verifies it by its root hash. Without `--layers` the content of roots is the host’s.',
  },
];

let all: readonly Expected[] = [];
before(async () => {
  const found: Expected[] = [];
  for (const file of workloadFiles)
    for (const setup of setups) found.push(...(await expectedOf(file, setup)));
  all = found;
});

test('two volumes, containers or execs that are merged, swapped, repeated or moved are denied, or the list has a reason', (t) => {
  const counts = new Map<string, { tried: number; denied: number; listed: number }>();
  const tried = new Map<string, number>();
  const open = new Map<string, string>();
  const needed = new Set<object>();
  for (const expected of all) {
    const { runtime, guest, snapshotter = '', emptyDirs = '' } = expected.setup;
    const isWhole = whole.some((file) => expected.name.startsWith(file));
    for (const pair of pairs(expected)) {
      const key = `${pair.of} ${pair.kind}`;
      const group = `${runtime} ${guest} ${snapshotter} ${emptyDirs} ${key} ${isWhole}`;
      const number = (tried.get(group) ?? 0) + 1;
      if (!isWhole && number > sampled) continue;
      tried.set(group, number);
      const count = counts.get(key) ?? { tried: 0, denied: 0, listed: 0 };
      counts.set(key, count);
      count.tried += 1;
      const refusal = pairRefusal(expected, pair);
      const about = `${key}: ${pair.about}, ${expected.name}`;
      const entry = reviewed.find((each) => each.about.test(about));
      if (refusal !== undefined) count.denied += 1;
      else if (entry === undefined) open.set(`${key} ${runtime} ${guest}`, about);
      else {
        count.listed += 1;
        needed.add(entry);
      }
    }
  }
  for (const [key, { tried: number, denied, listed }] of counts)
    t.diagnostic(`${key}: ${number} pairs, ${denied} denied, ${listed} on the list`);
  assert.ok(counts.size >= 7, String(counts.size));
  assert.deepEqual([...open.values()], []);
  assert.deepEqual(
    reviewed.filter((entry) => !needed.has(entry)),
    [],
  );
});
