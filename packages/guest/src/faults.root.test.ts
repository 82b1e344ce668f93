import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSyscalls, RecordingSyscalls, SyscallError, type Syscalls } from '@kata-agent/linux';
import type { CreateContainer } from './actions.js';
import { RealGuest, runc, settled, skip } from './testing/real-guest.js';
import { createContainer } from './perform/create-container.js';

/** What a create asks of the kernel, but for what it takes to clean up. */
const calls = [
  'openat',
  'openat2',
  'mkdirat',
  'fchownat',
  'mount',
  'pipe2',
  'setPipeSize',
  'bind',
  'listen',
  'accept4',
  'receiveDescriptors',
  'setNonBlocking',
  'socketpair',
  'dup3',
] as const;

/** The real kernel, but the call of this number fails. */
class FailingKernel extends RecordingSyscalls {
  failAt = 0;
  count = 0;

  constructor(real: Syscalls) {
    super({}, real);
    for (const name of calls) this.#mayFail(name, real[name].bind(real));
  }

  #mayFail(name: keyof Syscalls, call: (...args: never[]) => unknown): void {
    const counted = (...args: never[]): unknown => {
      this.count += 1;
      if (this.count === this.failAt) throw SyscallError.named(name, 'EIO', 'a fault of the test');
      return call(...args);
    };
    this.script(name, counted);
  }
}

async function failEach(terminal: boolean): Promise<number> {
  const kernel = new FailingKernel(loadSyscalls());
  const real = await RealGuest.open({ syscalls: kernel, pipeSize: 128 * 1024 });
  try {
    for (let n = 1; ; n += 1) {
      const id = real.id();
      const before = real.traces();
      kernel.count = 0;
      kernel.failAt = n;
      try {
        await createContainer(real.guest, withStorages(real, id, terminal));
      } catch (error) {
        assert.match(String(error), /a fault of the test|cannot|could not|EIO/, `step ${n}`);
        await settled();
        assert.deepEqual(real.traces(), before, `after the failure of step ${n}: ${String(error)}`);
        continue;
      }
      kernel.failAt = 0;
      await real.remove(id);
      return n - 1;
    }
  } finally {
    kernel.failAt = 0;
    await real.close();
  }
}

function withStorages(real: RealGuest, id: string, terminal: boolean): CreateContainer {
  const storage = (driver: string, fstype: string, mountPoint: string, options: readonly string[]) => ({
    driver,
    driverOptions: [],
    source: driver === 'bind' ? real.rootfs : '',
    fstype,
    options,
    mountPoint,
    shared: false,
  });
  return {
    id,
    execId: id,
    spec: real.spec(['true'], { terminal }),
    storages: [
      storage('ephemeral', 'tmpfs', join(real.kata, 'sandbox/ephemeral/a'), ['fsgid=1000']),
      storage('overlayfs', 'overlay', join(real.kata, id, 'rootfs'), [
        `lowerdir=${real.rootfs}`,
        'io.katacontainers.fs-opt.overlay-rw',
      ]),
    ],
    sandboxPidns: false,
  };
}

test('a create that fails at any call to the kernel leaves nothing', { skip }, async () => {
  const steps = await failEach(false);
  assert.ok(steps > 15, `only ${steps} steps were tried`);
});

test('the same with a terminal', { skip }, async () => {
  const steps = await failEach(true);
  assert.ok(steps > 15, `only ${steps} steps were tried`);
});

for (const [what, script] of Object.entries({
  'before it did anything': 'exit 1',
  'after it made the container': `${runc} "$@"; exit 1`,
  'without telling a pid': `${runc} "$@"; for word; do [ "$previous" = --pid-file ] && : > "$word"; previous=$word; done`,
})) {
  test(`a runtime whose create ends ${what} leaves nothing`, { skip }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'guest-fault-'));
    const program = join(directory, 'runtime');
    const cases = `*" create "*) ${script};; *) exec ${runc} "$@";;`;
    writeFileSync(program, `#!/bin/sh\ncase "$*" in ${cases} esac\n`, { mode: 0o755 });
    const real = await RealGuest.open({ runtime: program });
    try {
      const before = real.traces();
      await assert.rejects(real.run(['sleep', '1000']));
      await settled();
      assert.deepEqual(real.traces(), before);
    } finally {
      await real.close();
      rmSync(directory, { recursive: true });
    }
  });
}
