import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseOthersPlaces } from './other-containers.js';

const kata = '/run/kata-containers';
const first = { id: 'pause', sources: [`${kata}/shared/containers/pause/rootfs`] };
const app = { id: 'app', sources: [`${kata}/app/rootfs`, `${kata}/shared/containers/app-1-hosts`] };

test('no source lies in a directory of another container', () => {
  for (const path of [
    `${kata}/shared/containers/pause/rootfs`,
    `${kata}/shared/containers/pause`,
    `${kata}/shared/containers/passthrough/pause/rootfs/etc`,
    `${kata}/shared/rafs/pause/lowerdir`,
    `${kata}/pause/rootfs`,
  ])
    assert.throws(() => refuseOthersPlaces({ id: 'app', sources: [path] }, [first], []), {
      kind: 'refused',
      message: /container pause/,
    });
  refuseOthersPlaces(app, [first], []);
});

test("a local volume of the pod lies in its first container's directory", () => {
  const place = `${kata}/shared/containers/pause/rootfs/local/data`;
  refuseOthersPlaces({ id: 'app', sources: [place, `${place}/sub`] }, [first], [place]);
  for (const path of [`${place}2`, `${kata}/shared/containers/pause/rootfs/local`])
    assert.throws(() => refuseOthersPlaces({ id: 'app', sources: [path] }, [first], [place]), {
      kind: 'refused',
    });
});

test("nor has another container a place that would be the new one's", () => {
  const early = { id: 'early', sources: [`${kata}/shared/containers/late/rootfs`] };
  assert.throws(() => refuseOthersPlaces({ id: 'late', sources: [] }, [early], []), {
    kind: 'refused',
    message: /container early has a place of container late/,
  });
});
