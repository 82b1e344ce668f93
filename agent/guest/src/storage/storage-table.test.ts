import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { loadSyscalls, RecordingSyscalls } from '@kata-agent/linux';
import * as fc from 'fast-check';
import { openAccess } from '../guest-access.js';
import { UndoStack } from '../undo-stack.js';
import { DeviceWatch } from '../device/device-watch.js';
import { Disks } from '../device/disks.js';
import { DiskPrograms } from '../tool/disk-programs.js';
import type { SavedStorage } from './storage-entries.js';
import { StorageTable, usedStorages } from './storage-table.js';
import { directMedia } from '../media-thread/direct-media.js';

const directory = mkdtempSync(join(tmpdir(), 'storage-table-'));
test.after(() => rmSync(directory, { recursive: true }));

function table(kata: string) {
  // Mounting a tmpfs needs root; a plain directory is enough for these tests.
  const nothing = (): void => undefined;
  // The content of a tmpfs ends with its mount.
  const umount2 = (path: string): void => {
    for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true });
  };
  const syscalls = new RecordingSyscalls({ mount: nothing, umount2 }, loadSyscalls());
  const paths = { kata, state: kata, cgroup: kata, proc: '/proc', sys: '/sys', dev: '/dev' };
  const log = (): void => undefined;
  let saved: readonly SavedStorage[] = [];
  const devices = new DeviceWatch({
    roots: paths,
    media: directMedia(syscalls),
    syscalls,
    log,
    timeoutSeconds: 1,
  });
  const parts = {
    devices,
    disks: new Disks('/sys', directMedia(syscalls)),
    diskPrograms: new DiskPrograms(),
  };
  const environment = {
    syscalls,
    media: directMedia(syscalls),
    paths,
    access: openAccess,
    capabilities: () => Promise.resolve({ flaws: [] }),
    log,
    dataHub: undefined,
    verifiedLayers: false,
    ...parts,
  };
  const storages = new StorageTable(environment, {
    saveStorages: (records) => {
      saved = records;
    },
  });
  return { storages, saved: () => saved };
}

const user = fc.record({
  places: fc.uniqueArray(
    fc.constantFrom(...['a', 'b', 'other'].map((name) => `shared/containers/pod/rootfs/local/${name}`)),
    { minLength: 1 },
  ),
  begins: fc.nat(4),
  uses: fc.nat(4),
  fails: fc.boolean(),
});

test('containers that request the same storages concurrently share them until the last one releases them', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(user, { maxLength: 6 }), async (users) => {
      run += 1;
      const kata = join(directory, `run-${run}`);
      mkdirSync(kata);
      const { storages, saved } = table(kata);
      await Promise.all(
        users.map(async ({ places, begins, uses, fails }, index) => {
          for (let turn = 0; turn < begins; turn += 1) await setImmediate();
          const made = new UndoStack();
          const id = `c${index}`;
          const owner = { kind: 'container', id, bundle: join(kata, id), others: ['pod'] } as const;
          const wrong = {
            mountPoint: join(kata, `shared/containers/pod/rootfs/local/wrong-${index}`),
            options: ['mode=x'],
          };
          const asked = places.map((place) => ({ mountPoint: join(kata, place), options: ['mode=777'] }));
          try {
            for (const each of fails ? [...asked, wrong] : asked)
              await storages.add(
                { driver: 'local', driverOptions: [], source: '', fstype: '', shared: false, ...each },
                owner,
                made,
              );
          } catch (error) {
            assert.ok(fails && /not an octal mode/.test(String(error)), String(error));
          }
          for (const place of places) writeFileSync(join(kata, place, `of-${index}`), '');
          for (let turn = 0; turn < uses; turn += 1) await setImmediate();
          for (const place of places) assert.ok(existsSync(join(kata, place, `of-${index}`)));
          assert.deepEqual(await made.unwind(), []);
        }),
      );
      assert.deepEqual(saved(), []);
      assert.deepEqual(
        readdirSync(kata, { recursive: true }).filter((name) => String(name).includes('/local/')),
        [],
      );
    }),
    { numRuns: 100 },
  );
});

function record(place: string, more: Partial<SavedStorage> = {}): SavedStorage {
  return {
    place,
    storage: {
      driver: 'bind',
      driverOptions: [],
      source: '/kata/x',
      fstype: 'bind',
      options: [],
      mountPoint: `/kata/${place}`,
      shared: false,
    },
    owner: { kind: 'sandbox' },
    missing: [],
    sources: [],
    needs: [],
    ready: true,
    kept: false,
    ...more,
  };
}

const places = (records: readonly SavedStorage[]): readonly string[] => records.map(({ place }) => place);

test('what a container names is used, and what that needs', () => {
  const records = [record('a'), record('b', { needs: ['a'] }), record('c', { needs: ['b'] }), record('d')];
  const { used, unused } = usedStorages(records, ['c']);
  assert.deepEqual(places(used), ['a', 'b', 'c'], 'in the order in which they were mounted');
  assert.deepEqual(places(unused), ['d']);
});

test('a kept storage is used without a container, and so is what it needs', () => {
  const records = [record('a'), record('b', { kept: true, needs: ['a'] })];
  assert.deepEqual(usedStorages(records, []), { used: records, unused: [] });
});

test('a mount that was not finished is unused, and keeps nothing; it is released before what it needs', () => {
  const records = [record('a'), record('b'), record('c', { ready: false, kept: true, needs: ['a'] })];
  const { used, unused } = usedStorages(records, ['c']);
  assert.deepEqual(used, []);
  assert.deepEqual(places(unused), ['c', 'b', 'a']);
});
