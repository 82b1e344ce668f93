import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeRefusals, type Made } from './refusals.test.fixture.js';

// Kubernetes allows a container to mount a volume several times. Read, not recorded: both runtimes then send a storage for
// each mount (`handleEphemeralStorage`, `handleLocalStorage` and `handleBlkOCIMounts` of the Go runtime; `handler_volumes` of
// runtime-rs has a volume for each mount), with equal fields, since source and mount point follow from the volume.
const pod = `kind: Pod
metadata: { name: shop }
spec:
  containers:
    - name: web
      image: i
      command: [sleep, "1"]
      volumeMounts:
        - { name: scratch, mountPath: /scratch }
        - { name: scratch, mountPath: /again, readOnly: true }
        - { name: scratch, mountPath: /part, subPath: part }
        - { name: scratch, mountPath: /other-part, subPath: other }
        - { name: fast, mountPath: /fast }
        - { name: fast, mountPath: /fast-again }
        - { name: own, mountPath: /own }
        - { name: settings, mountPath: /settings }
        - { name: settings, mountPath: /settings-again }
        - { name: settings, mountPath: /level, subPath: level }
        - { name: data, mountPath: /data }
        - { name: data, mountPath: /data-again }
  volumes:
    - { name: scratch, emptyDir: {} }
    - { name: fast, emptyDir: { medium: Memory } }
    - { name: own, emptyDir: {} }
    - { name: settings, configMap: { name: settings } }
    - { name: data, persistentVolumeClaim: { claimName: data } }
---
kind: ConfigMap
metadata: { name: settings }
data: { level: high }
`;

describeRefusals(
  'a volume that a container mounts several times',
  ({ created, setup }) => {
    const isOfScratch = ({ mountPoint }: { readonly mountPoint: string }, { mounts }: Made): boolean =>
      mountPoint === mounts.find(({ destination }) => destination === '/scratch')?.source;
    test('is served, with a storage for each mount', () => {
      let storages = 0;
      assert.equal(
        created(
          ({ request }) =>
            void (storages = request.storages.filter(({ driver }) => driver === 'ephemeral').length),
        ),
        undefined,
      );
      assert.equal(storages, 2);
    });

    test('has equal storages', () => {
      const there = 'create-container-storages-complete';
      const other = (change: (storage: Made['request']['storages'][number]) => void): string | undefined =>
        created(({ request }) => {
          const last = request.storages.findLast(({ driver }) => driver === 'ephemeral');
          assert.ok(last !== undefined);
          change(last);
        });
      assert.equal(
        other(() => undefined),
        undefined,
      );
      assert.notEqual(
        other((storage) => void (storage.options = ['size=1'])),
        undefined,
      );
      assert.notEqual(
        other((storage) => void (storage.driverOptions = ['x'])),
        undefined,
      );
      assert.notEqual(
        other((storage) => void (storage.mountPoint += '-x')),
        undefined,
      );
      const more = ({ request }: Made): void => {
        const [first] = request.storages;
        if (first !== undefined) request.storages.push(first);
      };
      assert.equal(created(more), there);
    });

    test('takes no storage of another volume', () => {
      // The host has the directory.
      if (setup.runtime === 'rs' && setup.guest === 'shared-fs') return;
      const doubled = (made: Made): void => {
        const own = made.mounts.find(({ destination }) => destination === '/own')?.source;
        const index = made.request.storages.findIndex(({ mountPoint }) => mountPoint === own);
        const scratch = made.request.storages.find((storage) => isOfScratch(storage, made));
        assert.ok(index >= 0 && scratch !== undefined);
        made.request.storages[index] = scratch;
      };
      assert.notEqual(created(doubled), undefined);
    });

    test('is not another volume', () => {
      const merged = ({ mounts }: Made): void => {
        const [own, scratch] = ['/own', '/scratch'].map((path) =>
          mounts.find(({ destination }) => destination === path),
        );
        assert.ok(own !== undefined && scratch !== undefined);
        own.source = scratch.source;
      };
      assert.notEqual(created(merged), undefined);
    });
  },
  { pod },
);
