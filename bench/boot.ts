import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './go-programs.js';
import type { Row } from './row.js';

interface Machine {
  on(event: 'line', take: (line: string) => void): void;
  /** It starts anew, under emulation. */
  on(event: 'again', take: () => void): void;
  line(pattern: RegExp): Promise<string>;
  kill(): Promise<unknown>;
}

/** What is booted: files. */
interface Guest {
  readonly kernel: string;
  readonly initrd: string;
  /** What its console says when it is ready. */
  readonly ready: RegExp;
}

/** What the scripts export; they are JavaScript. */
interface Scripts {
  readonly buildImage: (options: object) => Promise<{ kernel: { path: string }; initrd: { path: string } }>;
  readonly cpioArchive: (entries: readonly object[]) => Buffer;
  readonly startMachine: (options: object) => Promise<Machine>;
}

/**
 * What Kata's Go runtime writes on the kernel's line of a guest under QEMU on x86_64, whatever its configuration says (its
 * src/runtime/virtcontainers/qemu_amd64.go, `kernelParams`, and `panic=1`). The kernel does not test its own cryptography
 * then, and does not look for a keyboard: 0.3 s under emulation.
 */
const wordsOfKata: readonly string[] =
  process.arch === 'x64'
    ? [
        'tsc=reliable no_timer_check rcupdate.rcu_expedited=1 noreplace-smp reboot=k cryptomgr.notests',
        'i8042.direct=1 i8042.dumbkbd=1 i8042.nopnp=1 i8042.noaux=1 net.ifnames=0 pci=lastbus=0 panic=1',
      ]
    : [];

async function loadScripts(): Promise<Scripts> {
  const modules = ['image-build', 'image-archive', 'vm-machine'].map(
    (name) => import(`${root}/scripts/${name}.mjs`) as Promise<Partial<Scripts>>,
  );
  return Object.assign({}, ...(await Promise.all(modules))) as Scripts;
}

/**
 * From the kernel's first moment to the agent that listens, in the guest that `npm run image` makes; and, with the same
 * kernel, to a program that does nothing but say that it is there. The two take turns, and of each the shortest counts:
 * whatever else the machine does only makes a boot longer.
 */
export async function measureBoot(quick: boolean): Promise<Row[]> {
  const scripts = await loadScripts();
  const folder = await mkdtemp(join(tmpdir(), 'kata-bench-boot-'));
  try {
    const image = await scripts.buildImage({
      config: join(root, 'examples', 'confidential.toml'),
      requireConfig: true,
      out: join(folder, 'image'),
      ...(quick ? { level: 3 } : {}),
      say: (text: string) => console.error(`  ${text}`),
    });
    const kernel = image.kernel.path;
    const ours: Guest = { kernel, initrd: image.initrd.path, ready: /"msg":"listening"/ };
    const bare: Guest = { kernel, initrd: join(folder, 'bare'), ready: /^up$/ };
    writeFileSync(bare.initrd, bareInitramfs(scripts));
    const seconds = { ours: Number.POSITIVE_INFINITY, bare: Number.POSITIVE_INFINITY };
    for (let round = 0; round < (quick ? 1 : 5); round += 1) {
      seconds.ours = Math.min(seconds.ours, await bootSeconds(scripts, ours));
      seconds.bare = Math.min(seconds.bare, await bootSeconds(scripts, bare));
    }
    return [
      { what: 'a guest: kernel start to ready', unit: 's', ours: seconds.ours, goal: { most: 4 } },
      {
        what: 'the same, against a guest that does nothing',
        unit: 's',
        ours: seconds.ours,
        against: { name: 'busybox', value: seconds.bare },
      },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

function bareInitramfs({ cpioArchive }: Scripts): Buffer {
  return cpioArchive([
    { path: '/bin/busybox', data: readFileSync('/usr/bin/busybox'), mode: 0o755 },
    { path: '/dev/console', device: [5, 1], mode: 0o600 },
    {
      path: '/init',
      data: Buffer.from('#!/bin/busybox sh\necho up\nexec /bin/busybox sleep 1000\n'),
      mode: 0o755,
    },
  ]);
}

/**
 * Boots, in 320 MB: 304, and more for what level 3 makes larger. When the kernel began is told by its own clock: of its
 * lines, the one that came here soonest after the time that stands in it.
 */
async function bootSeconds({ startMachine }: Scripts, { kernel, initrd, ready }: Guest): Promise<number> {
  // A few of the kernel's lines, where `quiet` has none.
  const append = [...wordsOfKata, 'loglevel=6'];
  const machine = await startMachine({ kernel, initrd, memory: 320, append, ready });
  let kernelBegan = Number.POSITIVE_INFINITY;
  machine.on('line', (line) => {
    const clock = /^\[ *(\d+\.\d+)\]/.exec(line)?.[1];
    if (clock !== undefined) kernelBegan = Math.min(kernelBegan, performance.now() - Number(clock) * 1000);
  });
  machine.on('again', () => {
    kernelBegan = Number.POSITIVE_INFINITY;
  });
  try {
    await machine.line(ready);
    return (performance.now() - kernelBegan) / 1000;
  } finally {
    await machine.kill();
  }
}
