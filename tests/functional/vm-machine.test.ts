import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { type Fate, StandInQemu } from '../harness/stand-in-qemu.js';
import type { Machine } from '../vm/machine.js';

/** What the scripts export; they are JavaScript. */
const { startMachine } = (await import(`${repository}scripts/vm-machine.mjs`)) as {
  readonly startMachine: (options: object) => Promise<Machine>;
};
const { architecture } = (await import(`${repository}image/architecture.mjs`)) as {
  readonly architecture: { readonly qemu: { readonly command: string } };
};

const listening = /"msg":"listening"/;
const fallback = /^KVM fails on this machine \((.*)\): the guest starts again under TCG/;

describe('a machine under a QEMU that is a stand-in', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-vm-stand-in-'));
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  const qemu = new StandInQemu(folder, architecture.qemu.command);
  const environment = { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'] };
  process.env['PATH'] = `${folder}${delimiter}${environment.PATH ?? ''}`;
  process.env['TMPDIR'] = temporary;
  const failures = join(folder, 'kvm-failed.json');
  /** A device that opens. */
  const host = { kvm: '/dev/null', failures };
  let said: string[] = [];
  let machines: Machine[] = [];

  beforeEach(() => {
    said = [];
    machines = [];
    rmSync(failures, { force: true });
  });

  afterEach(async () => {
    for (const machine of machines) await machine.kill();
    // Whatever a machine came to, nothing of it is left.
    for (const { pid } of qemu.starts()) assert.ok(!existsSync(`/proc/${pid}`), `process ${pid}`);
    assert.deepEqual(readdirSync(temporary), []);
  });

  after(() => {
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(folder, { recursive: true });
  });

  async function start(
    fates: { readonly kvm?: Fate; readonly tcg?: Fate },
    options: object = {},
  ): Promise<Machine> {
    const kernel = qemu.kernel(fates);
    const machine = await startMachine({
      kernel,
      initrd: kernel,
      accel: 'auto',
      host,
      say: (text: string) => said.push(text),
      ...options,
    });
    machines.push(machine);
    return machine;
  }

  const accelerators = (): readonly string[] => qemu.starts().map(({ accelerator }) => accelerator);

  it('runs under KVM where that works', async () => {
    const machine = await start({ kvm: 'listens' });
    await machine.line(listening);
    assert.equal(machine.accelerator, 'kvm');
    assert.deepEqual(accelerators(), ['kvm']);
    assert.deepEqual(said, []);
    assert.ok(!existsSync(failures));
  });

  for (const [kvm, why] of [
    ['internal error', 'KVM internal error. Suberror: 1, emulation failure'],
    ['abort', 'error: failed to set MSR 0x10a, kvm.c:3877: kvm_buf_set_msrs: Assertion failed.'],
    ['no module', '-accel kvm: Could not access KVM kernel module: No such device'],
  ] as const) {
    it(`starts again under TCG, once, and says so, when KVM opens and fails: ${kvm}`, async () => {
      const machine = await start({ kvm, tcg: 'listens' });
      await machine.line(listening);
      assert.equal(machine.accelerator, 'tcg');
      assert.deepEqual(accelerators(), ['kvm', 'tcg']);
      assert.equal(said.length, 1);
      assert.equal(fallback.exec(said[0] ?? '')?.[1], why);
      assert.deepEqual(machine.lines, ['{"msg":"listening"}'], 'the console is the second guest’s');
    });
  }

  it('starts the next ones under TCG at once, until this machine is booted anew', async () => {
    await (await start({ kvm: 'internal error' })).line(listening);
    await (await start({ kvm: 'internal error' })).line(listening);
    assert.deepEqual(accelerators(), ['tcg']);
    assert.equal(said.length, 1);

    const { reason } = JSON.parse(readFileSync(failures, 'utf8')) as { readonly reason: string };
    assert.equal(reason, 'KVM internal error. Suberror: 1, emulation failure');
    writeFileSync(failures, JSON.stringify({ boot: 'an earlier one', reason }));
    await (await start({ kvm: 'listens' })).line(listening);
    assert.deepEqual(accelerators(), ['kvm']);

    // Half a file, of a writer that was killed.
    writeFileSync(failures, '{"boot"');
    await (await start({ kvm: 'listens' })).line(listening);
    assert.deepEqual(accelerators(), ['kvm']);
  });

  it('ends with the reason when TCG fails, too', async () => {
    const machine = await start({ kvm: 'internal error', tcg: 'internal error' });
    await assert.rejects(machine.line(listening), (error: Error) => {
      assert.match(error.message, /QEMU stopped it: internal-error/);
      assert.match(error.message, /KVM internal error. Suberror: 1\n/);
      assert.match(error.message, /its console said nothing/);
      return true;
    });
    assert.deepEqual(accelerators(), ['kvm', 'tcg']);
    assert.equal(said.length, 1);
  });

  it('is under TCG from the beginning where there is no KVM', async () => {
    const machine = await start({}, { host: { kvm: join(folder, 'none'), failures } });
    await machine.line(listening);
    assert.deepEqual(accelerators(), ['tcg']);
    assert.deepEqual(said, []);
  });

  it('ends with the reason when KVM is forced', async () => {
    const machine = await start({ kvm: 'internal error' }, { accel: 'kvm' });
    await assert.rejects(machine.line(listening), /internal-error[^]*help: KVM was asked for/);
    await assert.rejects(start({ kvm: 'no module' }, { accel: 'kvm' }), /not access KVM[^]*help: KVM was/);
    assert.deepEqual(accelerators(), ['kvm']);
    assert.deepEqual(said, []);
    // Nobody else is to do without it.
    assert.ok(!existsSync(failures));
  });

  it('does not try KVM when TCG is forced', async () => {
    await (await start({ kvm: 'internal error' }, { accel: 'tcg' })).line(listening);
    assert.deepEqual(accelerators(), ['tcg']);
  });

  it('takes the accelerator from the environment, and refuses one that there is not', async () => {
    process.env['KATA_VM_ACCEL'] = 'tcg';
    try {
      await (await start({ kvm: 'internal error' }, { accel: undefined })).line(listening);
      assert.deepEqual(accelerators(), ['tcg']);
      process.env['KATA_VM_ACCEL'] = 'xen';
      await assert.rejects(
        start({}, { accel: undefined }),
        /^Error: KATA_VM_ACCEL xen: this is no accelerator: auto, kvm, tcg$/,
      );
    } finally {
      delete process.env['KATA_VM_ACCEL'];
    }
  });

  it('does not start again for what is not KVM’s fault', async () => {
    await assert.rejects(start({ kvm: 'no disk' }), /QEMU did not come up: .*Could not open '\/kvm\/none'/);
    assert.deepEqual(accelerators(), ['kvm']);
    assert.ok(!existsSync(failures));
  });

  it('does not start again once the guest was used, and the next ones are under TCG', async () => {
    const machine = await start({ kvm: 'late internal error' });
    await machine.line(listening);
    await machine.poweredOff();
    assert.match(machine.report, /internal-error[^]*help: the next machine starts under TCG/);
    assert.deepEqual(accelerators(), ['kvm']);
    assert.ok(existsSync(failures));
  });

  for (const [fate, reason, limits] of [
    [
      'says nothing',
      /the guest never became ready: its console has said nothing for 1 s\n.*\nhelp: /,
      { silence: 1 },
    ],
    ['goes on saying something', /the guest never became ready: 1 s are over\n[^]*help: /, { up: 1 }],
    ['panics and stays', /the guest's kernel panicked: Attempted to kill init! exitcode=0x0/, {}],
    ['panics and is not reset', /the guest's kernel panicked: Attempted to kill init!/, { panic: 1 }],
    ['panics and is reset', /the guest's kernel panicked: Attempted to kill init!/, {}],
  ] as const) {
    it(`ends by itself, with the reason, when the guest ${fate}`, async () => {
      await assert.rejects(async () => (await start({ kvm: fate }, { limits })).line(listening), reason);
      assert.ok(!accelerators().includes('tcg'));
    });
  }

  it('ends when QEMU does not answer', async () => {
    await assert.rejects(
      start({ kvm: 'does not answer' }, { limits: { answer: 1 } }),
      /QEMU did not come up: qmp_capabilities: QEMU does not answer, in 1 s/,
    );
  });

  for (const [fate, state] of [
    ['disk full', 'io-error'],
    ['panics, as its device says', 'guest-panicked'],
  ] as const) {
    it(`ends with the state in which QEMU stopped it: ${state}`, async () => {
      const machine = await start({ kvm: fate });
      await machine.line(listening);
      await machine.poweredOff();
      assert.match(machine.report, new RegExp(`QEMU stopped it: ${state} \\(.*\\)\n.*listening`));
      await assert.rejects(machine.line(/anything else/), /io-error|guest-panicked/);
    });
  }

  it('is ended when it does not say what is waited for, or does not power off', async () => {
    const silent = await start({ kvm: 'listens' });
    await silent.line(listening);
    await assert.rejects(silent.line(/never/, 1), /its console does not say \/never\/: 1 s are over/);

    const staying = await start({ kvm: 'listens' });
    await staying.line(listening);
    assert.equal(await staying.poweredOff(1), null);
    assert.match(staying.report, /the guest does not power off: 1 s are over/);
  });

  it('is off when its TPM has let go of the keys, which the next one takes', async () => {
    const state = join(folder, 'keys');
    slowTpm(folder);
    for (let boot = 0; boot < 2; boot++) {
      const machine = await start({ kvm: 'listens' }, { tpm: state });
      await machine.line(listening);
      await machine.kill();
      assert.ok(!existsSync(join(state, '.lock')));
    }
  });
});

/** In the place of swtpm: a program that takes its time to end, and holds the folder with its keys until then. */
function slowTpm(folder: string): void {
  const program = `#!${process.execPath}
const socket = process.argv.at(-1).split('path=')[1];
const fs = require('node:fs');
fs.writeFileSync('.lock', '', { flag: 'wx' });
require('node:net').createServer((peer) => peer.end()).listen(socket);
process.on('SIGTERM', () => setTimeout(() => { fs.unlinkSync('.lock'); process.exit(); }, 300));
`;
  writeFileSync(join(folder, 'swtpm'), program, { mode: 0o755 });
}
