import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeRefusals, type Made } from './refusals.test.fixture.js';

// Paths as people write them: in any order, and with a slash at the end. The engine sorts them by their number of parts.
const pod = `kind: Pod
metadata: { name: shop }
spec:
  containers:
    - name: web
      image: i
      command: [sleep, "1"]
      volumeMounts:
        - { name: deep, mountPath: /data/deep/er }
        - { name: settings, mountPath: /settings/ }
        - { name: below, mountPath: /data/below/ }
        - { name: data, mountPath: /data/ }
  volumes:
    - { name: deep, emptyDir: {} }
    - { name: below, emptyDir: {} }
    - { name: data, emptyDir: {} }
    - { name: settings, configMap: { name: settings } }
---
kind: ConfigMap
metadata: { name: settings }
data: { level: high }
`;

const placeOf = ({ mounts }: Made, path: string): number =>
  mounts.findIndex(({ destination }) => destination === path);

describeRefusals(
  'mounts of which one is below another',
  ({ created }) => {
    test('come in the order of the engine', () => {
      let order: readonly string[] = [];
      const look = ({ mounts }: Made): void => {
        order = mounts
          .map(({ destination }) => destination)
          .filter((path) => /^\/(data|settings)/.test(path));
      };
      assert.equal(created(look), undefined);
      assert.deepEqual(order, ['/settings/', '/data/', '/data/below/', '/data/deep/er']);
    });

    test('do not hide each other', () => {
      for (const below of ['/data/below/', '/data/deep/er']) {
        const swap = (made: Made): void => {
          const [one, other] = [placeOf(made, '/data/'), placeOf(made, below)];
          const [first, second] = [made.mounts[one], made.mounts[other]];
          assert.ok(first !== undefined && second !== undefined);
          [made.mounts[one], made.mounts[other]] = [second, first];
        };
        assert.equal(created(swap), 'create-container-mount-order');
      }
    });

    test('have the source that is named after their path', () => {
      const renamed = (made: Made): void => {
        const mount = made.mounts[placeOf(made, '/settings/')];
        assert.ok(mount !== undefined);
        mount.source += '-other';
      };
      assert.notEqual(created(renamed), undefined);
    });
  },
  { pod },
);
