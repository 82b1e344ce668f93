import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs, { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, RecordingSyscalls, SyscallError, type Syscalls } from '@kata-agent/linux';
import type { CreateContainer } from './request/actions.js';
import { Guest } from './guest.js';
import { ociRuntime, RealGuest, settled, skip, type Traces } from './testing/real-guest.js';
import { createContainer } from './perform/containers.js';
import { getGuestDetails, shutDown } from './perform/sandbox.js';

/** The system calls of a create, without those of its clean-up. */
const calls = [
  'openat',
  'openat2',
  'mkdirat',
  'fchownat',
  'mount',
  'openTree',
  'moveMount',
  'mountSetattr',
  'pipe2',
  'setPipeSize',
  'bind',
  'listen',
  'accept4',
  'receiveDescriptors',
  'setNonBlocking',
  'socketpair',
  'dup3',
  'spawn',
] as const;

/** The calls of node:fs in a create. Without those inside rmSync, which is clean-up. */
const files = [
  'mkdirSync',
  'writeFileSync',
  'renameSync',
  'readFileSync',
  'readdirSync',
  'statSync',
  'fstatSync',
  'realpathSync',
] as const;

/** The real kernel, in which one call fails: call number `failAt` since `begin`. */
class FailingKernel extends RecordingSyscalls {
  /** Each call since `begin`, by name. */
  made: string[] = [];
  failed: string | undefined;
  #failAt = Number.POSITIVE_INFINITY;

  constructor(real: Syscalls) {
    super({}, real);
    for (const name of calls) {
      const call = real[name].bind(real) as (...args: unknown[]) => never;
      this.script(name, this.#mayFail(name, call));
    }
  }

  begin(failAt: number): void {
    this.made = [];
    this.failed = undefined;
    this.#failAt = failAt;
  }

  /** Until the answer is called, the calls of node:fs fail as the others do. */
  armFiles(): () => void {
    const ours = fs as unknown as Record<string, (...args: unknown[]) => never>;
    const real = files.map((name) => [name, ours[name]] as const);
    for (const [name, call] of real) if (call !== undefined) ours[name] = this.#mayFail(name, call);
    syncBuiltinESMExports();
    return () => {
      for (const [name, call] of real) if (call !== undefined) ours[name] = call;
      syncBuiltinESMExports();
    };
  }

  #mayFail(name: string, call: (...args: unknown[]) => never): (...args: unknown[]) => never {
    return (...args) => {
      // A sweep of the reaper, which any process that ends causes: it is of no create.
      if (/^\/proc\/\d+\/task/.test(String(args[0]))) return call(...args);
      this.made.push(name);
      if (this.made.length !== this.#failAt) return call(...args);
      this.failed = `${name} ${args.map((argument) => String(argument).slice(0, 60)).join(' ')}`;
      throw SyscallError.named(name, 'EIO', 'a fault of the test');
    };
  }
}

interface Tried {
  readonly call: string;
  /** The traces that differ between before and after. */
  readonly left: readonly string[];
}

/** Fails every call once. */
async function failEach(terminal: boolean): Promise<readonly Tried[]> {
  const kernel = new FailingKernel(loadSyscalls());
  const real = await RealGuest.open({ syscalls: kernel, pipeSize: 128 * 1024 });
  const tried: Tried[] = [];
  try {
    for (let n = 1; ; n += 1) {
      const id = real.id();
      const before = real.traces();
      const action = withStorages(real, id, terminal);
      kernel.begin(n);
      const disarm = kernel.armFiles();
      const failure = await createContainer(real.guest, action).catch((error: unknown) => error);
      disarm();
      const { failed } = kernel;
      kernel.begin(Number.POSITIVE_INFINITY);
      // A create may also succeed in spite of a fault, as in the list of directories to sweep.
      if (failure === undefined) await real.remove(id);
      if (failed === undefined) return tried;
      tried.push({ call: failed, left: await remaining(before, () => real.traces()) });
    }
  } finally {
    kernel.begin(Number.POSITIVE_INFINITY);
    await real.close();
  }
}

/** Returns the traces that differ from before, and continue to: on a slow machine the runtime ends after the call has failed. */
async function remaining(before: Traces, traces: () => Traces): Promise<readonly string[]> {
  let left: readonly string[] = [];
  for (let looks = 0; looks < 100; looks += 1) {
    await settled();
    left = difference(before, traces());
    if (left.length === 0) break;
    await delay(100);
  }
  return left;
}

function difference(before: Traces, after: Traces): readonly string[] {
  const lines = (traces: Traces): readonly string[] =>
    Object.entries(traces).flatMap(([kind, found]) =>
      Array.isArray(found) ? found.map((each) => `${kind} ${each}`) : [`${kind} ${found}`],
    );
  const [was, is] = [lines(before), lines(after)];
  return [...is.filter((line) => !was.includes(line)), ...was.filter((line) => !is.includes(line))];
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

for (const [how, terminal] of [
  ['with pipes', false],
  ['with a terminal', true],
] as const) {
  test(`a create ${how} that fails at any one call leaves nothing`, { skip }, async (context) => {
    const tried = await failEach(terminal);
    for (const { call } of tried) context.diagnostic(call);
    assert.deepEqual(
      tried.filter(({ left }) => left.length > 0),
      [],
    );
    assert.ok(tried.length > 60, `only ${tried.length} calls were tried`);
  });
}

test('a guest opens before its runtime has answered, and a create waits for the answer', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'guest-slow-'));
  const [program, fifo] = ['runtime', 'fifo'].map((name) => join(directory, name)) as [string, string];
  // Opening a FIFO for reading blocks until it has a writer.
  const script = `case "$*" in *" features") read line < ${fifo};; esac\nexec ${ociRuntime} "$@"\n`;
  writeFileSync(program, `#!/bin/sh\n${script}`, { mode: 0o755 });
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  const paths = { kata: join(directory, 'kata'), state: join(directory, 'state') };
  const guest = await Guest.open({ syscalls: loadSyscalls(), runtime: program, paths });
  try {
    let answered = false;
    const details = getGuestDetails(guest, { memoryBlockSize: false, memoryHotplugProbe: false }).then(
      (answer) => {
        answered = true;
        return answer;
      },
    );
    await settled();
    assert.equal(answered, false);
    writeFileSync(fifo, 'continue\n');
    assert.equal((await details).supportsSeccomp, true);
  } finally {
    await shutDown(guest);
    rmSync(directory, { recursive: true });
  }
});

for (const [what, script] of Object.entries({
  'before it did anything': 'exit 1',
  'after it made the container': `${ociRuntime} "$@"; exit 1`,
  'without telling a pid': `${ociRuntime} "$@"; for word; do [ "$previous" = --pid-file ] && : > "$word"; previous=$word; done`,
})) {
  test(`a runtime whose create ends ${what} leaves nothing`, { skip }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'guest-fault-'));
    const program = join(directory, 'runtime');
    const cases = `*" create "*) ${script};; *) exec ${ociRuntime} "$@";;`;
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
