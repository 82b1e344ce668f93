import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { repository } from '../harness/repository.js';
import { boot, type Image, imageOf } from './machine.js';

/** The results of docs/existing-image.md. */
export interface ExistingImage {
  /** Its temporary directory. */
  readonly work: string;
  readonly disk: string;
  /** The kernel command line, as Kata's runtimes write it. */
  readonly line: string;
  /** The output of its commands. */
  readonly output: string;
  /** With the kernel, its modules including vsock_loopback, and the relay. */
  readonly standIn: Image;
}

/** Runs all commands of the guide in order, in one shell, as a reader would, and stops at the first failure. */
export async function followGuide(directory: string): Promise<ExistingImage> {
  const page = readFileSync(join(repository, 'docs', 'existing-image.md'), 'utf8');
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  assert.ok(blocks.length > 0, 'the guide has commands');
  const ran = spawnSync('bash', ['-euo', 'pipefail', '-c', blocks.join('\n')], {
    cwd: repository,
    env: { ...process.env, TMPDIR: directory },
    encoding: 'utf8',
    maxBuffer: 16 << 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = `${ran.stdout}${ran.stderr}`;
  assert.equal(ran.status, 0, output);
  const [name = ''] = readdirSync(directory).filter((entry) => entry.startsWith('tmp.'));
  const work = join(directory, name);
  const line = readFileSync(join(work, 'line'), 'utf8').trim();
  const standIn = await imageOf('existing', { rootfs: true });
  return { work, disk: join(work, 'kata.img'), line, output, standIn };
}

/** The relay, which is built beside its image. */
function relayOf(image: Image): Buffer {
  return readFileSync(join(dirname(image.kernel.path), 'relay.mjs'));
}

interface ExistingBoot {
  readonly config: string;
  readonly append?: readonly string[];
  readonly disks?: readonly string[];
  readonly args?: readonly string[];
}

const relayUnit = `[Service]
ExecStartPre=/usr/sbin/ip address add 10.0.2.15/24 dev eth0
ExecStartPre=/usr/sbin/ip link set eth0 up
ExecStart=/usr/bin/env -i /usr/bin/node /run/relay/relay.mjs
`;

/** Before the handover to the image's init: a configuration over the image's, and the relay as a unit in /run. */
const additions = `
$bb mount -t tmpfs -o mode=755 tmpfs /root/run
$bb mkdir -p /root/run/systemd/system/kata-containers.target.wants /root/run/relay
$bb cp /added/relay.mjs /added/config.toml /root/run/relay/
$bb ln -s /usr/lib/kata-agent/node_modules /root/run/relay/node_modules
$bb cp /added/relay.service /root/run/systemd/system/
$bb ln -s ../relay.service /root/run/systemd/system/kata-containers.target.wants/
$bb mount -o bind /root/run/relay/config.toml /root/etc/kata-agent/config.toml
`;

/** Boots the guide's unchanged disk, with its kernel command line; files for the test are in the initramfs. */
export async function bootExisting(
  { disk, line, standIn }: ExistingImage,
  directory: string,
  options: ExistingBoot,
): Promise<Machine> {
  const first = readFileSync(join(repository, 'image/systemd/kernel-stand-in.sh'), 'utf8');
  const added = (name: string, data: Buffer): FileEntry => ({ path: `/added/${name}`, data, mode: 0o644 });
  return boot(standIn, directory, {
    overlay: [
      { path: '/init', data: Buffer.from(first.replace(/^init=/m, `${additions}init=`)), mode: 0o755 },
      added('relay.mjs', relayOf(standIn)),
      added('relay.service', Buffer.from(relayUnit)),
      added('config.toml', Buffer.from(options.config)),
    ],
    disks: [disk, ...(options.disks ?? [])],
    // Of two words with the same name the kernel uses the last, as does systemd.
    append: [`rdinit=/init`, 'net.ifnames=0', line, ...(options.append ?? [])],
    ...(options.args === undefined ? {} : { args: options.args }),
    memory: 768,
  });
}

/** The relay of the other test, in a writable root. */
const relayWanted = '[Unit]\nWants=relay.service\n';

/**
 * Boots the guide's files as an initrd whose init is systemd. `movesRoot`: with image/systemd/initrd-init.sh before it,
 * as in the guide; otherwise as Kata's initrd builder makes it, with /init as a link.
 */
export async function bootAsInitrd(
  { work, standIn }: ExistingImage,
  directory: string,
  options: ExistingBoot & { readonly movesRoot: boolean },
): Promise<Machine> {
  const packed = spawnSync('sh', ['-c', 'find . | cpio --quiet -o -H newc'], {
    cwd: join(work, 'rootfs'),
    maxBuffer: 1 << 30,
  });
  assert.equal(packed.status, 0, String(packed.stderr));
  mkdirSync(directory, { recursive: true });
  const initrd = join(directory, 'whole-initrd');
  // In the slot of the missing disk, so that the container's disk has its usual slot.
  const nothing = join(directory, 'nothing');
  writeFileSync(nothing, Buffer.alloc(512));
  const base = readFileSync(standIn.initrd.path);
  writeFileSync(
    initrd,
    Buffer.concat([base, Buffer.alloc((512 - (base.length % 512)) % 512), packed.stdout]),
  );
  const first = readFileSync(join(repository, 'image/systemd/kernel-stand-in.sh'), 'utf8');
  const loads = first.slice(0, first.indexOf('\nline='));
  const next = options.movesRoot ? '/initrd-init' : '/sbin/init';
  const init = `${loads}\n$bb umount /dev /sys /proc\nexec ${next} "$@"\n`;
  const units = '/etc/systemd/system';
  const file = (path: string, data: string | Buffer, mode = 0o644): FileEntry => ({
    path,
    data: Buffer.from(data),
    mode,
  });
  return boot({ ...standIn, initrd: { ...standIn.initrd, path: initrd } }, directory, {
    overlay: [
      file('/init', init, 0o755),
      file('/initrd-init', readFileSync(join(repository, 'image/systemd/initrd-init.sh')), 0o755),
      file('/usr/lib/kata-agent/relay.mjs', relayOf(standIn)),
      file(`${units}/relay.service`, relayUnit.replaceAll('/run/relay/', '/usr/lib/kata-agent/')),
      file(`${units}/kata-containers.target.d/relay.conf`, relayWanted),
      file('/etc/kata-agent/config.toml', options.config),
    ],
    disks: [nothing, ...(options.disks ?? [])],
    append: ['rdinit=/init', 'net.ifnames=0', 'systemd.unit=kata-containers.target'],
    memory: 1500,
  });
}

/** A unit in the machine's SMBIOS tables, as the host can add it (systemd.system-credentials(7)). */
export function unitFromHost(name: string, unit: string): readonly string[] {
  const value = `io.systemd.credential.binary:systemd.extra-unit.${name}=${Buffer.from(unit).toString('base64')}`;
  return ['-smbios', `type=11,value=${value}`];
}
