import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { mounts } from '@kata-agent/linux';
import type { Storage } from './request/actions.js';
import type { Call } from './guest.js';
import { copyFile } from './perform/storage.js';
import { createContainer } from './perform/containers.js';
import { ociRuntime, RealGuest, settled, skip } from './testing/real-guest.js';

/** A runtime whose creates wait until the test decides how they continue. */
class HeldCreates {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'held-'));
  readonly program: string = join(this.directory, 'runtime');

  constructor() {
    const id = 'for id; do :; done';
    const wait = `if [ -p ${this.directory}/$id ]; then read how < ${this.directory}/$id; [ "$how" = go ] || exit 1; fi`;
    const script = `case "$*" in *" create "*) : > ${this.directory}/at-$id; ${wait};; esac`;
    writeFileSync(this.program, `#!/bin/sh\n${id}\n${script}\nexec ${ociRuntime} "$@"\n`, { mode: 0o755 });
  }

  close(id: string): void {
    assert.equal(spawnSync('mkfifo', [join(this.directory, id)]).status, 0);
  }

  /** Reports whether the create has reached the runtime. */
  isAt(id: string): boolean {
    return existsSync(join(this.directory, `at-${id}`));
  }

  /** Resolves when the create has reached the runtime; rejects if it ends before. */
  async reached(id: string, created: Promise<unknown>): Promise<void> {
    let early: unknown;
    const ended = (error: unknown): void => {
      early = error;
    };
    void created.then(() => ended(new Error('it was made')), ended);
    while (!this.isAt(id)) {
      if (early !== undefined) throw new Error(`the create of ${id} ended early`, { cause: early });
      await settled();
    }
  }

  async open(id: string, how: 'go' | 'fail'): Promise<void> {
    await writeFile(join(this.directory, id), `${how}\n`);
  }
}

let real: RealGuest;
let held: HeldCreates;
before(async () => {
  if (skip !== false) return;
  held = new HeldCreates();
  real = await RealGuest.open({ runtime: held.program });
});
after(async () => {
  if (skip !== false) return;
  await real.close();
  rmSync(held.directory, { recursive: true });
});

function memory(name: string): Storage {
  return {
    driver: 'ephemeral',
    driverOptions: [],
    source: 'tmpfs',
    fstype: 'tmpfs',
    options: ['size=1m'],
    mountPoint: join(real.kata, 'sandbox/ephemeral', name),
    shared: false,
  };
}

const isMounted = ({ mountPoint }: Storage): boolean =>
  mounts().filter(({ target }) => target === mountPoint).length === 1;

function create(id: string, storages: readonly Storage[] = [], pod = real): Promise<void> {
  const spec = pod.spec(['sleep', '1000']);
  return createContainer(pod.guest, { id, execId: id, spec, storages, sandboxPidns: false });
}

test('creates with the same storages may end in any order: created containers have them, others leave nothing', {
  skip,
}, async () => {
  // The first container, for which others would wait, is not one of those below.
  const first = real.id();
  await create(first);
  // A tmpfs with a pod's data is released with the sandbox; this bind mount of it with its last container.
  mkdirSync(join(real.kata, 'shared/containers/source'));
  const shared: Storage = {
    ...memory('volume'),
    driver: 'bind',
    mountPoint: join(real.kata, 'sandbox/storage/volume'),
    fstype: 'bind',
    source: join(real.kata, 'shared/containers/source'),
    options: [],
  };
  await settled();
  const before = real.traces();
  const outcomes = fc.array(fc.constantFrom('go' as const, 'fail' as const), { minLength: 2, maxLength: 4 });
  const schedule = outcomes.chain((all) =>
    fc.tuple(
      fc.constant(all),
      fc.shuffledSubarray([...all.keys()], { minLength: all.length, maxLength: all.length }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(schedule, async ([all, order]) => {
      const ids = all.map(() => real.id());
      for (const id of ids) held.close(id);
      const creates = ids.map((id) => create(id, [shared]));
      const results = creates.map((created) =>
        created.then(
          () => true,
          () => false,
        ),
      );
      await Promise.all(ids.map((id, index) => held.reached(id, creates[index] ?? Promise.resolve())));
      assert.deepEqual(real.guest.sandboxStatus.containers, [first, ...ids]);
      for (const index of order) {
        await held.open(ids[index] ?? '', all[index] ?? 'go');
        assert.equal(await results[index], all[index] === 'go');
        assert.ok(isMounted(shared) || order.every((each) => all[each] === 'fail'));
      }
      const made = ids.filter((_, index) => all[index] === 'go');
      assert.deepEqual([...real.guest.containers.keys()].sort(), [first, ...made].sort());
      for (const id of made) {
        assert.ok(isMounted(shared));
        await real.remove(id);
      }
      await settled();
      assert.deepEqual(real.traces(), before);
    }),
    { numRuns: 12 },
  );
  await real.remove(first);
});

const ipcOf = ({ guest }: RealGuest, id: string): string =>
  readlinkSync(`/proc/${guest.container(id).first.pid}/ns/ipc`);

test('other containers wait to join the first container', { skip }, async () => {
  const pod = await RealGuest.open({ runtime: held.program });
  const ids = [pod.id(), pod.id(), pod.id()] as const;
  const [first, ...others] = ids;
  held.close(first);
  try {
    const created = ids.map((id) => create(id, [], pod));
    await held.reached(first, Promise.all(created));
    for (let turn = 0; turn < 20; turn += 1) await settled();
    assert.deepEqual(
      others.map((id) => held.isAt(id)),
      [false, false],
    );
    await held.open(first, 'go');
    await Promise.all(created);
    assert.equal(new Set(ids.map((id) => ipcOf(pod, id))).size, 1);
  } finally {
    await pod.close();
  }
});

test('a container joins the namespaces of the first one, also if that has ended meanwhile', {
  skip,
}, async () => {
  const pod = await RealGuest.open({ runtime: held.program });
  const [first, other] = [pod.id(), pod.id()];
  try {
    await create(first, [], pod);
    const had = ipcOf(pod, first);
    const descriptors = readdirSync('/proc/self/fd').length;
    held.close(other);
    const created = create(other, [], pod);
    await held.reached(other, created);
    await pod.remove(first);
    await held.open(other, 'go');
    await created;
    assert.equal(ipcOf(pod, other), had);
    await pod.remove(other);
    await settled();
    assert.ok(readdirSync('/proc/self/fd').length <= descriptors);
  } finally {
    await pod.close();
  }
});

test('another container becomes the first if its creation fails', { skip }, async () => {
  const pod = await RealGuest.open({ runtime: held.program });
  const ids = [pod.id(), pod.id(), pod.id()] as const;
  const [first, ...others] = ids;
  held.close(first);
  try {
    const [failed, ...created] = ids.map((id) => create(id, [], pod));
    const rejected = assert.rejects(failed ?? Promise.resolve());
    await held.reached(first, failed ?? Promise.resolve());
    await held.open(first, 'fail');
    await Promise.all([rejected, ...created]);
    const namespaces = others.map((id) => ipcOf(pod, id));
    assert.equal(new Set(namespaces).size, 1);
  } finally {
    await pod.close();
  }
});

/** A call whose audit record is written when the test decides. */
class SlowCall implements Call {
  readonly signal: AbortSignal = real.signal;
  record: () => void = assert.fail;
  isAsked = false;
  readonly #recorded = new Promise<void>((resolve) => (this.record = resolve));

  check(): void {}

  begin(): Promise<void> {
    this.isAsked = true;
    return this.#recorded;
  }

  async asked(): Promise<void> {
    while (!this.isAsked) await settled();
  }
}

test('a copy waits for a create that begins while the copy is recorded', { skip }, async () => {
  const volume = join(real.kata, 'shared/containers/changing');
  mkdirSync(volume);
  await create(real.id());
  const id = real.id();
  held.close(id);
  const [creating, copying] = [new SlowCall(), new SlowCall()];
  const spec = real.spec(['sleep', '1000']);
  const mount = { destination: '/etc/config', type: 'bind', source: volume, options: ['rbind', 'ro'] };
  const created = createContainer(real.guest.forCall(creating), {
    id,
    execId: id,
    spec: { ...spec, mounts: [...(spec.mounts ?? []), mount] },
    storages: [],
    sandboxPidns: false,
  });
  await creating.asked();
  const path = join(volume, 'key');
  const data = Buffer.from('value');
  const modes = { fileMode: 0o644, dirMode: 0o755, uid: 0, gid: 0 };
  const file = { path, data, fileSize: data.length, offset: 0, ...modes };
  const copied = copyFile(real.guest.forCall(copying), file);
  await copying.asked();
  creating.record();
  await held.reached(id, created);
  copying.record();
  await Promise.race([copied, settled()]);
  assert.ok(!existsSync(path), 'while the container is made');
  await held.open(id, 'go');
  await Promise.all([created, copied]);
  assert.equal(readFileSync(path, 'utf8'), 'value');
});

test('limits and rules count containers that are being created', { skip }, async () => {
  const pod = await RealGuest.open({ runtime: held.program, limits: { containers: 1 } });
  const [id, other] = [pod.id(), pod.id()];
  const annotations = { name: 'app' };
  const spec = { ...pod.spec(['sleep', '1000']), annotations };
  held.close(id);
  try {
    const made = createContainer(pod.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
    await held.reached(id, made);
    assert.deepEqual(pod.guest.containerStatus(id), { state: 'created', annotations, mounts: [] });
    assert.deepEqual(pod.guest.sandboxStatus.containers, [id]);
    await assert.rejects(
      createContainer(pod.guest, { id: other, execId: other, spec, storages: [], sandboxPidns: false }),
      { kind: 'exhausted' },
    );
    const twice = assert.rejects(
      createContainer(pod.guest, { id, execId: id, spec, storages: [], sandboxPidns: false }),
      { kind: 'exists' },
    );
    await held.open(id, 'go');
    await Promise.all([made, twice]);
  } finally {
    await pod.close();
  }
});
