import assert from 'node:assert/strict';
import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { Open, TaskFailure } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import { LoopDevice } from '../testing/loop-device.js';
import { settled, skip } from '../testing/real-guest.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';
import { Disks } from './disks.js';

type Kind = 'device' | 'exclusive' | 'layer';

interface Granted {
  readonly kind: Kind;
  readonly number: string;
  readonly release: () => void;
}

/** A call of a thread that the host has not answered. */
interface PendingLook {
  readonly number: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = 'free' | 'claimed' | 'gone' | 'late';

const numberOf = (path: string): DeviceNumber => deviceNumber(lstatSync(path, { bigint: true }).rdev);
const textOf = ({ major, minor }: DeviceNumber): string => `${major}:${minor}`;

/** A disk, a partition of it in a sysfs of this test, and another disk. */
const devices: LoopDevice[] = [];
let sys = '';
before(() => {
  if (skip !== false) return;
  devices.push(...[0, 1, 2].map(() => new LoopDevice(1024 * 1024)));
  const [whole, partition] = devices.map(({ path }) => textOf(numberOf(path)));
  sys = mkdtempSync(join(tmpdir(), 'kata-sys-'));
  const directory = join(sys, 'devices/vda/vda1');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(sys, 'devices/vda/dev'), `${whole}\n`);
  writeFileSync(join(directory, 'partition'), '1\n');
  mkdirSync(join(sys, 'dev/block'), { recursive: true });
  symlinkSync(directory, join(sys, 'dev/block', partition ?? ''));
});
after(() => {
  if (skip !== false) return;
  for (const each of devices) each.remove();
  rmSync(sys, { recursive: true });
});

/** Calls of a guest's disks, and a kernel and a host that answer them when the test says so. */
class Interleaving {
  readonly #disks: Disks;
  readonly #pending: PendingLook[] = [];
  /** Calls that were given up, and that have not returned. */
  readonly #late: { readonly number: string; readonly end: () => void }[] = [];
  readonly #granted: Granted[] = [];
  readonly #fresh: Granted[] = [];
  /** The disk that a look has found free just now. */
  #free: string | undefined;
  #calls = 0;
  readonly counts = { granted: 0, shared: 0, refused: 0, waited: 0 };

  constructor() {
    const run = (name: string, _: unknown, [fd = -1]: readonly number[]): Promise<void> => {
      assert.equal(name, 'openExclusively');
      const number = textOf(deviceNumber(fstatSync(fd, { bigint: true }).rdev));
      for (const other of [...this.#pending, ...this.#late])
        assert.ok(
          !overlaps(other.number, number),
          'two looks at once: one would meet the claim of the other',
        );
      return new Promise((resolve, reject) => this.#pending.push({ number, resolve, reject }));
    };
    this.#disks = new Disks(sys, { run } as unknown as HostMedia);
  }

  /** Begins a call; its look, if there is one, waits. */
  begin(kind: Kind, device: number, container: string): Promise<void> {
    const path = devices[device]?.path ?? '';
    const looks = this.#pending.length;
    this.#calls += 1;
    const use = this.#use(kind, path, container).then(
      (release) => {
        this.#fresh.push({ kind, number: textOf(numberOf(path)), release });
      },
      (error: unknown) => {
        assert.ok(
          error instanceof GuestError || (error as NodeJS.ErrnoException).code === 'ENXIO',
          String(error),
        );
        this.counts.refused += 1;
      },
    );
    void use.then(() => {
      this.#calls -= 1;
    });
    if (this.#pending.length === looks) this.counts.waited += 1;
    return this.check();
  }

  async #use(kind: Kind, path: string, container: string): Promise<() => void> {
    if (kind === 'exclusive') return this.#disks.take(path);
    if (kind === 'device') return (await this.#disks.attach(path, container)).release;
    const fd = openSync(path, Open.Path);
    try {
      return await this.#disks.takeLayer({ named: path, fd, number: numberOf(path) });
    } finally {
      closeSync(fd);
    }
  }

  /** Answers the first look. */
  async answer(outcome: Outcome): Promise<void> {
    const look = this.#pending.shift();
    if (look === undefined) return;
    if (outcome === 'free') {
      this.#free = look.number;
      look.resolve();
    } else if (outcome === 'late') {
      const ended = new Promise<void>((end) => this.#late.push({ number: look.number, end }));
      const cause = new TaskFailure('late', 'it did not answer', { ended });
      look.reject(new GuestError('deadline', 'it did not answer', { cause }));
    } else look.reject(Object.assign(new Error(outcome), { code: outcome === 'gone' ? 'ENXIO' : 'EBUSY' }));
    await this.check();
  }

  async endLate(): Promise<void> {
    this.#late.shift()?.end();
    await this.check();
  }

  async release(index: number): Promise<void> {
    const [use] = this.#granted.splice(index % Math.max(this.#granted.length, 1), 1);
    use?.release();
    await this.check();
  }

  /** Checks what was granted since the last check. */
  async check(): Promise<void> {
    await settled();
    while (this.#fresh.length > 0) {
      const index = this.#fresh.findIndex((use) => use.number === this.#free || this.#covers(use));
      const [use] = index < 0 ? [] : this.#fresh.splice(index, 1);
      assert.ok(use !== undefined, `granted without a look: ${JSON.stringify(this.#fresh)}`);
      if (use.number === this.#free) this.#free = undefined;
      else this.counts.shared += 1;
      for (const other of this.#granted)
        assert.ok(mayShare(use, other), `${use.kind} ${use.number} beside ${other.kind} ${other.number}`);
      this.#granted.push(use);
      this.counts.granted += 1;
    }
    assert.equal(this.#free, undefined, 'a disk that is free is granted to the call that looked');
  }

  /** Reports whether others have a disk, so that a claim of it may be theirs. */
  #covers({ kind, number }: Granted): boolean {
    const whole = numberAt(number === numberAt(1) ? 0 : -1);
    return this.#granted.some(
      (other) =>
        other.kind === kind &&
        kind !== 'exclusive' &&
        (other.number === number || (kind === 'device' && other.number === whole)),
    );
  }

  /** Answers and releases all, and checks that nothing is left. */
  async end(): Promise<void> {
    while (this.#pending.length > 0) await this.answer('free');
    assert.equal(this.#calls, 0, 'each call has ended');
    while (this.#late.length > 0) await this.endLate();
    while (this.#granted.length > 0) await this.release(0);
    for (const device of devices.keys()) {
      const before = this.counts.refused;
      await this.begin('exclusive', device, '');
      await this.answer('free');
      assert.equal(this.counts.refused, before, 'nothing is left');
      await this.release(0);
    }
  }
}

function mayShare(one: Granted, other: Granted): boolean {
  if (!overlaps(one.number, other.number)) return true;
  if (one.kind !== other.kind) return false;
  return one.kind === 'device' || (one.kind === 'layer' && one.number === other.number);
}

const numberAt = (device: number): string | undefined => {
  const path = devices[device]?.path;
  return path === undefined ? undefined : textOf(numberOf(path));
};

/** The partition and its disk; each with itself. */
function overlaps(one: string, other: string): boolean {
  const apart = numberAt(2);
  return one === other || (one !== apart && other !== apart);
}

const step: fc.Arbitrary<(of: Interleaving) => Promise<void>> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom<Kind>('device', 'exclusive', 'layer'), fc.nat(2), fc.constantFrom('a', 'b'))
      .map(
        ([kind, device, container]) =>
          (of: Interleaving) =>
            of.begin(kind, device, container),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom<Outcome>('free', 'free', 'claimed', 'gone', 'late')
      .map((outcome) => (of: Interleaving) => of.answer(outcome)),
  },
  { weight: 1, arbitrary: fc.constant((of: Interleaving) => of.endLate()) },
  { weight: 2, arbitrary: fc.nat(9).map((index) => (of: Interleaving) => of.release(index)) },
);

test('whenever the host answers, no disk is used twice, none is granted unseen, and none is kept', {
  skip,
}, async () => {
  const total = { granted: 0, shared: 0, refused: 0, waited: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const interleaving = new Interleaving();
      for (const each of steps) await each(interleaving);
      await interleaving.end();
      for (const [name, count] of Object.entries(interleaving.counts))
        total[name as keyof typeof total] += count;
    }),
    { numRuns: 300 },
  );
  for (const [name, count] of Object.entries(total)) assert.ok(count > 0, name);
});

test('while the host does not answer for one disk, that disk is refused at once, and others are taken', {
  skip,
}, async () => {
  const ends: (() => void)[] = [];
  let isLate = true;
  const run = (): Promise<void> => {
    if (!isLate) return Promise.resolve();
    const ended = new Promise<void>((end) => ends.push(end));
    const cause = new TaskFailure('late', 'late', { ended });
    return Promise.reject(new GuestError('deadline', 'late', { cause }));
  };
  const disks = new Disks(sys, { run } as unknown as HostMedia);
  const [whole = '', partition = '', other = ''] = devices.map(({ path }) => path);
  await assert.rejects(disks.attach(partition, 'a'), { kind: 'deadline' });
  isLate = false;
  const refused = {
    kind: 'exhausted',
    message: /^an earlier call that opens the disk .*loop\d+ still waits for the host; help:/,
  };
  for (const call of [
    () => disks.attach(partition, 'a'),
    () => disks.attach(partition, 'b'),
    () => disks.attach(whole, 'b'),
    () => disks.take(whole),
    () => disks.take(partition),
  ])
    await assert.rejects(call, refused);
  (await disks.take(other))();
  for (const end of ends) end();
  await settled();
  (await disks.take(whole))();
  (await disks.take(partition))();
});
