import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage } from '@kata-agent/tool-guest-image/build';
import { cpioArchive } from '@kata-agent/tool-guest-image/tree/archive';
import { startMachine } from '@kata-agent/tool-vm/machine/start-machine';
import { root } from './go-programs.js';
import type { Row } from './row.js';

/** The booted files. */
interface Guest {
  readonly kernel: string;
  readonly initrd: string;
  /** The console output when it is ready. */
  readonly ready: RegExp;
}

/**
 * Parameters that Kata's Go runtime always writes on the kernel command line of a QEMU guest on x86_64
 * (src/runtime/virtcontainers/qemu_amd64.go, `kernelParams`, and `panic=1`). The kernel then skips its crypto
 * self-tests and the keyboard probe: 0.3 s under emulation.
 */
const wordsOfKata: readonly string[] =
  process.arch === 'x64'
    ? [
        'tsc=reliable no_timer_check rcupdate.rcu_expedited=1 noreplace-smp reboot=k cryptomgr.notests',
        'i8042.direct=1 i8042.dumbkbd=1 i8042.nopnp=1 i8042.noaux=1 net.ifnames=0 pci=lastbus=0 panic=1',
      ]
    : [];

/**
 * Measures the time from the kernel's start until the agent listens, in the guest of `npm run image`; and with the same
 * kernel until a program prints one line. The two alternate, and the shortest time of each counts: other load only
 * makes a boot longer.
 */
export async function measureBoot(quick: boolean): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'kata-bench-boot-'));
  try {
    const image = await buildImage({
      config: join(root, 'examples', 'confidential.toml'),
      requireConfig: true,
      out: join(directory, 'image'),
      ...(quick ? { level: 3 } : {}),
      printProgress: (text: string) => console.error(`  ${text}`),
    });
    const kernel = image.kernel.path;
    const ours: Guest = { kernel, initrd: image.initrd.path, ready: /"msg":"listening"/ };
    const bare: Guest = { kernel, initrd: join(directory, 'bare'), ready: /^up$/ };
    writeFileSync(bare.initrd, bareInitramfs());
    const seconds = { ours: Number.POSITIVE_INFINITY, bare: Number.POSITIVE_INFINITY };
    for (let round = 0; round < (quick ? 1 : 5); round += 1) {
      seconds.ours = Math.min(seconds.ours, await bootSeconds(ours));
      seconds.bare = Math.min(seconds.bare, await bootSeconds(bare));
    }
    return [
      { what: 'a guest: kernel start to ready', unit: 's', ours: seconds.ours, goal: { max: 4 } },
      {
        what: 'the same, against a guest that does nothing',
        unit: 's',
        ours: seconds.ours,
        against: { name: 'busybox', value: seconds.bare },
      },
    ];
  } finally {
    await rm(directory, { recursive: true });
  }
}

function bareInitramfs(): Buffer {
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
 * Boots in 320 MB: 304, and more since level 3 compresses less. The kernel's start time is computed from its own
 * timestamps: from the line that arrived soonest after its timestamp.
 */
async function bootSeconds({ kernel, initrd, ready }: Guest): Promise<number> {
  // A few of the kernel's lines, despite `quiet`.
  const append = [...wordsOfKata, 'loglevel=6'];
  const machine = await startMachine({ kernel, initrd, memory: 320, append, ready });
  let kernelBegan = Number.POSITIVE_INFINITY;
  machine.on('line', (line) => {
    const clock = /^\[ *(\d+\.\d+)\]/.exec(line)?.[1];
    if (clock !== undefined) kernelBegan = Math.min(kernelBegan, performance.now() - Number(clock) * 1000);
  });
  machine.on('restart', () => {
    kernelBegan = Number.POSITIVE_INFINITY;
  });
  try {
    await machine.line(ready);
    return (performance.now() - kernelBegan) / 1000;
  } finally {
    await machine.kill();
  }
}
