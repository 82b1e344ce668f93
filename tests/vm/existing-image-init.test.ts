import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';
import { developerHome, withRelay } from '@kata-agent/tool-vm/image';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs } from '../harness/rootfs.js';
import { boot, imageOf, poweredOff, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { configForSharedRoots } from './shared-root.js';

const skip = whyNoMachine('virtiofsd', 'erofs-utils', 'cryptsetup-bin') ?? false;
const shared = '/run/kata-containers/shared/containers';

const guide = (name: string): Buffer => readFileSync(join(repository, 'image', 'busybox', name));
const added = (path: string, data: Buffer, mode = 0o755): FileEntry => ({
  path: `/added/${path}`,
  data,
  mode,
});

/** Overlays added files on the directory /etc of an unchanged disk. */
const addition = `$bb mkdir /added-etc
$bb mount -t tmpfs -o mode=755 etc /added-etc
$bb cp -a /root/etc/. /added/. /added-etc/
$bb mount -o move /added-etc /root/etc`;

/** Runs the relay as one more process of this init, and prints the environment of its processes on the console. */
const relay = [
  '::sysinit:/bin/busybox env',
  '::sysinit:/bin/busybox ifconfig eth0 10.0.2.15 up',
  `::once:/bin/busybox env -i /usr/bin/node ${developerHome}/relay.mjs`,
].join('\n');

describe('a guest whose init is busybox', { skip }, () => {
  const guest = runningGuest('init', async (directory) => {
    const image = await imageOf('busybox-init', { rootfs: true });
    // In the small initramfs, which opens the disk: its first program is not the agent.
    const opens = readFileSync(join(repository, 'image/rootfs-init.sh'), 'utf8');
    const next = `${addition}\nexec $bb switch_root /root /bin/busybox init`;
    const first = `#!/bin/busybox sh\n${opens.replace(/^exec .*$/m, () => next)}`;
    const overlay = [
      { path: '/init', data: Buffer.from(first), mode: 0o755 },
      added('inittab', Buffer.concat([guide('inittab'), Buffer.from(`${relay}\n`)]), 0o644),
      added('init.d/guest', guide('guest')),
      added('init.d/agent', guide('agent')),
      added('kata-agent/config.toml', Buffer.from(withRelay(configForSharedRoots())), 0o644),
    ];
    const share = join(directory, 'share');
    makeRootfs(share);
    const disks = image.disks.map(({ path }) => path);
    const append = ['rdinit=/init', 'NODE_OPTIONS=--require=/nowhere.js'];
    return boot(image, directory, { overlay, disks, share, append, memory: 512 });
  });

  it('runs the agent as a child, with a minimal environment', async () => {
    assert.match(await shell(guest.machine, 'cat /proc/1/cmdline'), /^\/bin\/busybox\0?init|^init/);
    const found = await shell(
      guest.machine,
      `cd /proc; busybox grep -l 'kata-agent[.][cm]js' [0-9]*/cmdline`,
    );
    const [, pid] = /^(\d+)\/cmdline\n$/.exec(found) ?? assert.fail(`one agent: ${found}`);
    assert.notEqual(pid, '1');
    assert.equal((await shell(guest.machine, `cat /proc/${pid}/environ`)).trim(), '');
    assert.ok(guest.machine.lines.includes('NODE_OPTIONS=--require=/nowhere.js'), 'other processes have it');
    // IFF_UP and IFF_LOOPBACK.
    assert.equal(await shell(guest.machine, 'cat /sys/class/net/lo/flags'), '0x9\n');
  });

  it('runs a container, whose orphans the agent reaps', async () => {
    const storages = [
      { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', mountPoint: `${shared}/` },
    ];
    await guest.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages });
    const args = ['sh', '-c', '(sleep 1 &); echo ran; exit 7'];
    const id = 'c';
    await guest.agent.createContainer(containerRequest({ id, rootfs: `${shared}/rootfs`, args }));
    await guest.agent.startContainer({ containerId: id });
    assert.equal(String(await readAll(guest.agent, 'stdout', id)), 'ran\n');
    assert.equal((await guest.agent.waitProcess({ containerId: id, execId: id })).status, 7);
    await guest.agent.removeContainer({ containerId: id });
    // A process that has just exited is a zombie for a moment.
    const none = 'busybox grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null || exit 0';
    await shell(guest.machine, `for look in $(busybox seq 300); do ${none}; busybox sleep 0.1; done; exit 1`);
  });

  it('is powered off by init when the agent has ended', async () => {
    await guest.agent.destroySandbox({});
    assert.equal(await poweredOff(guest.machine), 0);
    assert.match(guest.machine.lines.join('\n'), /the agent ended with code 0/);
    assert.match(guest.machine.lines.join('\n'), /reboot: Power down/);
  });
});
