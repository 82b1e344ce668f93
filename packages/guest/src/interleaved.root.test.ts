import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
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
import type { Storage } from './actions.js';
import { createContainer } from './perform/create-container.js';
import { RealGuest, runc, settled, skip } from './testing/real-guest.js';

/** A runtime whose creates wait until the test says how they go on. */
class Doors {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'doors-'));
  readonly program: string = join(this.directory, 'runtime');

  constructor() {
    const id = 'for id; do :; done';
    const wait = `if [ -p ${this.directory}/$id ]; then read how < ${this.directory}/$id; [ "$how" = go ] || exit 1; fi`;
    const script = `case "$*" in *" create "*) : > ${this.directory}/at-$id; ${wait};; esac`;
    writeFileSync(this.program, `#!/bin/sh\n${id}\n${script}\nexec ${runc} "$@"\n`, { mode: 0o755 });
  }

  close(id: string): void {
    assert.equal(spawnSync('mkfifo', [join(this.directory, id)]).status, 0);
  }

  /** The create has come to the runtime. */
  isAt(id: string): boolean {
    return existsSync(join(this.directory, `at-${id}`));
  }

  /** Rejects when the create ends before it comes there. */
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
let doors: Doors;
before(async () => {
  if (skip !== false) return;
  doors = new Doors();
  real = await RealGuest.open({ runtime: doors.program });
});
after(async () => {
  if (skip !== false) return;
  await real.close();
  rmSync(doors.directory, { recursive: true });
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

test('in whatever order creates with the same storages end, what is made has them, and nothing else stays', {
  skip,
}, async () => {
  // So that none of those below is the first one, for which the others wait.
  const first = real.id();
  await create(first);
  // Memory that holds a pod's data goes with the sandbox; this is a bind of it, which goes with its last container.
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
      for (const id of ids) doors.close(id);
      const creates = ids.map((id) => create(id, [shared]));
      const results = creates.map((created) =>
        created.then(
          () => true,
          () => false,
        ),
      );
      await Promise.all(ids.map((id, index) => doors.reached(id, creates[index] ?? Promise.resolve())));
      assert.deepEqual(real.guest.sandboxFacts.containers, [first, ...ids]);
      for (const index of order) {
        await doors.open(ids[index] ?? '', all[index] ?? 'go');
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

test('the others join the first container, however long it takes', { skip }, async () => {
  const pod = await RealGuest.open({ runtime: doors.program });
  const ids = [pod.id(), pod.id(), pod.id()] as const;
  const [first, ...others] = ids;
  doors.close(first);
  try {
    const created = ids.map((id) => create(id, [], pod));
    await doors.reached(first, Promise.all(created));
    for (let turn = 0; turn < 20; turn += 1) await settled();
    assert.deepEqual(
      others.map((id) => doors.isAt(id)),
      [false, false],
    );
    await doors.open(first, 'go');
    await Promise.all(created);
    assert.equal(new Set(ids.map((id) => ipcOf(pod, id))).size, 1);
  } finally {
    await pod.close();
  }
});

test('a container joins what the first one had when it asked, though that has gone since', {
  skip,
}, async () => {
  const pod = await RealGuest.open({ runtime: doors.program });
  const [first, other] = [pod.id(), pod.id()];
  try {
    await create(first, [], pod);
    const had = ipcOf(pod, first);
    const descriptors = readdirSync('/proc/self/fd').length;
    doors.close(other);
    const created = create(other, [], pod);
    await doors.reached(other, created);
    await pod.remove(first);
    await doors.open(other, 'go');
    await created;
    assert.equal(ipcOf(pod, other), had);
    await pod.remove(other);
    await settled();
    assert.ok(readdirSync('/proc/self/fd').length <= descriptors);
  } finally {
    await pod.close();
  }
});

test('when the first is not made, another one is the first', { skip }, async () => {
  const pod = await RealGuest.open({ runtime: doors.program });
  const ids = [pod.id(), pod.id(), pod.id()] as const;
  const [first, ...others] = ids;
  doors.close(first);
  try {
    const [failed, ...created] = ids.map((id) => create(id, [], pod));
    const rejected = assert.rejects(failed ?? Promise.resolve());
    await doors.reached(first, failed ?? Promise.resolve());
    await doors.open(first, 'fail');
    await Promise.all([rejected, ...created]);
    const namespaces = others.map((id) => ipcOf(pod, id));
    assert.equal(new Set(namespaces).size, 1);
  } finally {
    await pod.close();
  }
});

test('limits and rules count containers that are being made', { skip }, async () => {
  const pod = await RealGuest.open({ runtime: doors.program, limits: { containers: 1 } });
  const [id, other] = [pod.id(), pod.id()];
  const annotations = { name: 'app' };
  const spec = { ...pod.spec(['sleep', '1000']), annotations };
  doors.close(id);
  try {
    const made = createContainer(pod.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
    await doors.reached(id, made);
    assert.deepEqual(pod.guest.containerFacts(id), { state: 'created', annotations });
    assert.deepEqual(pod.guest.sandboxFacts.containers, [id]);
    await assert.rejects(
      createContainer(pod.guest, { id: other, execId: other, spec, storages: [], sandboxPidns: false }),
      { kind: 'exhausted' },
    );
    const twice = assert.rejects(
      createContainer(pod.guest, { id, execId: id, spec, storages: [], sandboxPidns: false }),
      { kind: 'exists' },
    );
    await doors.open(id, 'go');
    await Promise.all([made, twice]);
  } finally {
    await pod.close();
  }
});
