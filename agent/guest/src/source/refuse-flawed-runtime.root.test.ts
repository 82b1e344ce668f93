import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { closedAccess } from '../guest-access.js';
import { HostShare, noShare } from '../testing/host-share.js';
import { RealGuest, skip as noContainers } from '../testing/real-guest.js';

const skip = noContainers === false ? noShare : noContainers;
let real: RealGuest;
let share: HostShare;

before(async () => {
  if (skip !== false) return;
  real = await RealGuest.open({ access: closedAccess });
  mkdirSync(join(real.kata, 'shared/containers'), { recursive: true });
  share = await HostShare.mount(join(real.kata, 'shared/containers'));
});
after(async () => {
  if (skip !== false) return;
  await share.remove();
  await real.close();
});

/** Creates a container whose root is the share itself, or an overlay of it, `depth` times. */
async function create(depth: number): Promise<string> {
  const id = real.id();
  const own = join(real.kata, id, 'rootfs');
  const lower = join(real.kata, 'shared/containers', id, 'rootfs');
  const storage = {
    driver: 'overlayfs',
    driverOptions: [],
    source: 'overlay',
    fstype: 'overlay',
    options: [`lowerdir=${lower}`, 'io.katacontainers.fs-opt.overlay-rw'],
    mountPoint: own,
    shared: false,
  };
  const spec = { ...real.spec(['true']), root: { path: depth === 0 ? lower : own } };
  return await real.run(['true'], { id, spec, storages: depth === 0 ? [] : [storage] });
}

for (const [what, depth] of [
  ['a root on a share', 0],
  ['an overlay of a share, whose file system is another one', 1],
] as const)
  test(`${what} is refused with a runtime that is vulnerable to changes of it (S12)`, {
    skip,
  }, async (context) => {
    const { flaws } = await real.guest.context.capabilities();
    if (flaws.length === 0) {
      context.skip('the OCI runtime has the fixes');
      return;
    }
    const before = real.traces();
    await assert.rejects(create(depth), {
      kind: 'precondition',
      message:
        /is on a share of the host, and the OCI runtime is older than the fixes for CVE.*help: install/,
    });
    assert.deepEqual(real.traces(), before);
  });
