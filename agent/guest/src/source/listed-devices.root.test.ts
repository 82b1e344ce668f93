import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { closedAccess } from '../guest-access.js';
import { RealGuest, skip } from '../testing/real-guest.js';

const device = ['/dev/net/tun', '/dev/fuse', '/dev/kvm'].find((path) => existsSync(path));

for (const [listed, expected] of [
  [device ?? '', /^opened$/m],
  ['/dev', /Operation not permitted/],
] as const)
  test(`guest_paths = ["rw:${listed}"]: a device as the source of a mount can be opened only if it is named`, {
    skip: device === undefined ? 'the machine has no such device' : skip,
  }, async () => {
    const path = device ?? '';
    const real = await RealGuest.open({
      access: { ...closedAccess, paths: [{ path: listed, writable: true }] },
    });
    try {
      const spec = real.spec(['sh', '-c', `exec 3<> ${path} && echo opened`]);
      const mount = { destination: path, type: 'bind', source: path, options: ['bind', 'rw'] };
      const id = await real.run([], { spec: { ...spec, mounts: [...(spec.mounts ?? []), mount] } });
      assert.match(String(await real.readAll(id)) + String(await real.readAll(id, 'stderr')), expected);
      await real.wait(id);
      await real.remove(id);
    } finally {
      await real.close();
    }
  });
