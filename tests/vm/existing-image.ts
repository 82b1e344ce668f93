import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repository } from '../harness/repository.js';
import { boot, type Image, type ImageFile, imageOf, type Machine } from './machine.js';

/** What docs/existing-image.md left. */
export interface ExistingImage {
  /** Its scratch folder. */
  readonly work: string;
  readonly disk: string;
  /** The kernel's line, as Kata's runtimes write it. */
  readonly line: string;
  /** All that its commands said. */
  readonly said: string;
  /** For the kernel, its modules, vsock_loopback among them, and the relay. */
  readonly standIn: Image;
}

/** Runs the commands of the guide, all of them, in its order and in one shell, as a reader would, who stops at the first that fails. */
export async function followGuide(folder: string): Promise<ExistingImage> {
  const page = readFileSync(join(repository, 'docs', 'existing-image.md'), 'utf8');
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  assert.ok(blocks.length > 0, 'the guide has commands');
  const ran = spawnSync('bash', ['-euo', 'pipefail', '-c', blocks.join('\n')], {
    cwd: repository,
    env: { ...process.env, TMPDIR: folder },
    encoding: 'utf8',
    maxBuffer: 16 << 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = `${ran.stdout}${ran.stderr}`;
  assert.equal(ran.status, 0, said);
  const [name = ''] = readdirSync(folder).filter((entry) => entry.startsWith('tmp.'));
  const work = join(folder, name);
  const line = readFileSync(join(work, 'line'), 'utf8').trim();
  const standIn = await imageOf('existing', { rootfs: true });
  return { work, disk: join(work, 'kata.img'), line, said, standIn };
}

/** The relay, which is made beside the image that it is for. */
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

/** Before the stand-in for Kata's kernel hands over: a configuration over the image's, and the relay as a unit in /run. */
const additions = `
$bb mount -t tmpfs -o mode=755 tmpfs /root/run
$bb mkdir -p /root/run/systemd/system/kata-containers.target.wants /root/run/relay
$bb cp /added/relay.mjs /added/config.toml /root/run/relay/
$bb ln -s /usr/lib/kata-agent/node_modules /root/run/relay/node_modules
$bb cp /added/relay.service /root/run/systemd/system/
$bb ln -s ../relay.service /root/run/systemd/system/kata-containers.target.wants/
$bb mount -o bind /root/run/relay/config.toml /root/etc/kata-agent/config.toml
`;

/** Boots the guide's disk, which stays as it is, with its line; what the test needs comes in the initramfs. */
export async function bootExisting(
  { disk, line, standIn }: ExistingImage,
  folder: string,
  options: ExistingBoot,
): Promise<Machine> {
  const first = readFileSync(join(repository, 'image/systemd/kernel-stand-in.sh'), 'utf8');
  const added = (name: string, data: Buffer): ImageFile => ({ path: `/added/${name}`, data, mode: 0o644 });
  return boot(standIn, folder, {
    overlay: [
      { path: '/init', data: Buffer.from(first.replace(/^init=/m, `${additions}init=`)), mode: 0o755 },
      added('relay.mjs', relayOf(standIn)),
      added('relay.service', Buffer.from(relayUnit)),
      added('config.toml', Buffer.from(options.config)),
    ],
    disks: [disk, ...(options.disks ?? [])],
    // Of two words of one name the kernel takes the last, as does systemd.
    append: [`rdinit=/init`, 'net.ifnames=0', line, ...(options.append ?? [])],
    ...(options.args === undefined ? {} : { args: options.args }),
    memory: 768,
  });
}

/** The relay as the other test has it, in a root that can be written to. */
const relayWanted = '[Unit]\nWants=relay.service\n';

/**
 * Boots the guide's files as an initrd whose init is systemd. `movesRoot`: with image/systemd/initrd-init.sh before it,
 * as the guide says; otherwise as Kata's initrd builder makes it, with /init as a link.
 */
export async function bootAsInitrd(
  { work, standIn }: ExistingImage,
  folder: string,
  options: ExistingBoot & { readonly movesRoot: boolean },
): Promise<Machine> {
  const packed = spawnSync('sh', ['-c', 'find . | cpio --quiet -o -H newc'], {
    cwd: join(work, 'rootfs'),
    maxBuffer: 1 << 30,
  });
  assert.equal(packed.status, 0, String(packed.stderr));
  mkdirSync(folder, { recursive: true });
  const initrd = join(folder, 'whole-initrd');
  // In the slot of the disk that is not there, so that the container's is where it is elsewhere.
  const nothing = join(folder, 'nothing');
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
  const file = (path: string, data: string | Buffer, mode = 0o644): ImageFile => ({
    path,
    data: Buffer.from(data),
    mode,
  });
  return boot({ ...standIn, initrd: { ...standIn.initrd, path: initrd } }, folder, {
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

/** A unit in the machine's SMBIOS tables, as the host can put it there (systemd.system-credentials(7)). */
export function unitFromHost(name: string, unit: string): readonly string[] {
  const value = `io.systemd.credential.binary:systemd.extra-unit.${name}=${Buffer.from(unit).toString('base64')}`;
  return ['-smbios', `type=11,value=${value}`];
}
