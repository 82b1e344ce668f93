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
import { architecture } from '@kata-agent/setup/architecture';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { startMachine } from '@kata-agent/tool-vm/machine/start-machine';

import { type Behaviour, FakeQemu } from '../harness/fake-qemu.js';

const listening = /"msg":"listening"/;
const fallback = /^KVM fails on this machine \((.*)\): the guest is restarted under TCG/;

describe('a machine with a fake QEMU', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-fake-'));
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary);
  const qemu = new FakeQemu(directory, architecture.qemu.command);
  const environment = { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'] };
  process.env['PATH'] = `${directory}${delimiter}${environment.PATH ?? ''}`;
  process.env['TMPDIR'] = temporary;
  const failures = join(directory, 'kvm-failed.json');
  /** A device that can be opened. */
  const host = { kvm: '/dev/null', failures };
  let output: string[] = [];
  let machines: Machine[] = [];

  beforeEach(() => {
    output = [];
    machines = [];
    rmSync(failures, { force: true });
  });

  afterEach(async () => {
    for (const machine of machines) await machine.kill();
    // Nothing of a machine remains, whatever its end.
    for (const { pid } of qemu.starts()) assert.ok(!existsSync(`/proc/${pid}`), `process ${pid}`);
    assert.deepEqual(readdirSync(temporary), []);
  });

  after(() => {
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(directory, { recursive: true });
  });

  async function start(
    behaviours: { readonly kvm?: Behaviour; readonly tcg?: Behaviour },
    options: object = {},
  ): Promise<Machine> {
    const kernel = qemu.kernel(behaviours);
    const machine = await startMachine({
      kernel,
      initrd: kernel,
      accel: 'auto',
      host,
      printProgress: (text: string) => output.push(text),
      ...options,
    });
    machines.push(machine);
    return machine;
  }

  const accelerators = (): readonly string[] => qemu.starts().map(({ accelerator }) => accelerator);

  it('runs with KVM if possible', async () => {
    const machine = await start({ kvm: 'listens' });
    await machine.line(listening);
    assert.equal(machine.accelerator, 'kvm');
    assert.deepEqual(accelerators(), ['kvm']);
    assert.deepEqual(output, []);
    assert.ok(!existsSync(failures));
  });

  for (const [kvm, why] of [
    ['internal error', 'KVM internal error. Suberror: 1, emulation failure'],
    ['abort', 'error: failed to set MSR 0x10a, kvm.c:3877: kvm_buf_set_msrs: Assertion failed.'],
    ['no module', '-accel kvm: Could not access KVM kernel module: No such device'],
  ] as const) {
    it(`restarts with TCG, once, with a message, if KVM opens and fails: ${kvm}`, async () => {
      const machine = await start({ kvm, tcg: 'listens' });
      await machine.line(listening);
      assert.equal(machine.accelerator, 'tcg');
      assert.deepEqual(accelerators(), ['kvm', 'tcg']);
      assert.equal(output.length, 1);
      assert.equal(fallback.exec(output[0] ?? '')?.[1], why);
      assert.deepEqual(machine.lines, ['{"msg":"listening"}'], 'the console is that of the second start');
    });
  }

  it('starts later machines with TCG at once, until the host is rebooted', async () => {
    await (await start({ kvm: 'internal error' })).line(listening);
    await (await start({ kvm: 'internal error' })).line(listening);
    assert.deepEqual(accelerators(), ['tcg']);
    assert.equal(output.length, 1);

    const { reason } = JSON.parse(readFileSync(failures, 'utf8')) as { readonly reason: string };
    assert.equal(reason, 'KVM internal error. Suberror: 1, emulation failure');
    writeFileSync(failures, JSON.stringify({ boot: 'an earlier one', reason }));
    await (await start({ kvm: 'listens' })).line(listening);
    assert.deepEqual(accelerators(), ['kvm']);

    // A partial file of a writer that was killed.
    writeFileSync(failures, '{"boot"');
    await (await start({ kvm: 'listens' })).line(listening);
    assert.deepEqual(accelerators(), ['kvm']);
  });

  it('fails with the reason if TCG fails too', async () => {
    const machine = await start({ kvm: 'internal error', tcg: 'internal error' });
    await assert.rejects(machine.line(listening), (error: Error) => {
      assert.match(error.message, /QEMU stopped it: internal-error/);
      assert.match(error.message, /KVM internal error. Suberror: 1\n/);
      assert.match(error.message, /no console output/);
      return true;
    });
    assert.deepEqual(accelerators(), ['kvm', 'tcg']);
    assert.equal(output.length, 1);
  });

  it('uses TCG from the start without KVM', async () => {
    const machine = await start({}, { host: { kvm: join(directory, 'none'), failures } });
    await machine.line(listening);
    assert.deepEqual(accelerators(), ['tcg']);
    assert.deepEqual(output, []);
  });

  it('fails with the reason if KVM is forced', async () => {
    const machine = await start({ kvm: 'internal error' }, { accel: 'kvm' });
    await assert.rejects(machine.line(listening), /internal-error[^]*help: omit --accel kvm/);
    await assert.rejects(start({ kvm: 'no module' }, { accel: 'kvm' }), /not access KVM[^]*help: omit/);
    assert.deepEqual(accelerators(), ['kvm']);
    assert.deepEqual(output, []);
    // Later machines still try KVM.
    assert.ok(!existsSync(failures));
  });

  it('does not try KVM if TCG is forced', async () => {
    await (await start({ kvm: 'internal error' }, { accel: 'tcg' })).line(listening);
    assert.deepEqual(accelerators(), ['tcg']);
  });

  it('takes the accelerator from the environment, and rejects an unknown one', async () => {
    process.env['KATA_VM_ACCEL'] = 'tcg';
    try {
      await (await start({ kvm: 'internal error' }, { accel: undefined })).line(listening);
      assert.deepEqual(accelerators(), ['tcg']);
      process.env['KATA_VM_ACCEL'] = 'xen';
      await assert.rejects(
        start({}, { accel: undefined }),
        /^Error: KATA_VM_ACCEL xen: unknown accelerator\nhelp: use one of auto, kvm, tcg$/,
      );
    } finally {
      delete process.env['KATA_VM_ACCEL'];
    }
  });

  it('does not restart for failures unrelated to KVM', async () => {
    await assert.rejects(start({ kvm: 'no disk' }), /QEMU did not come up: .*Could not open '\/kvm\/none'/);
    assert.deepEqual(accelerators(), ['kvm']);
    assert.ok(!existsSync(failures));
  });

  it('does not restart once the guest was used, and later machines use TCG', async () => {
    const machine = await start({ kvm: 'late internal error' });
    await machine.line(listening);
    await machine.poweredOff();
    assert.match(machine.report, /internal-error[^]*help: try again: the next machine starts under TCG/);
    assert.deepEqual(accelerators(), ['kvm']);
    assert.ok(existsSync(failures));
  });

  for (const [behaviour, reason, limits] of [
    [
      'prints nothing',
      /the guest did not become ready: no console output for 1 s\n.*\nhelp: /,
      { silence: 1 },
    ],
    ['keeps printing', /the guest did not become ready: timeout after 1 s\n[^]*help: /, { up: 1 }],
    ['panics and stays', /the guest's kernel panicked: Attempted to kill init! exitcode=0x0/, {}],
    ['panics and is not reset', /the guest's kernel panicked: Attempted to kill init!/, { panic: 1 }],
    ['panics and is reset', /the guest's kernel panicked: Attempted to kill init!/, {}],
  ] as const) {
    it(`fails with the reason if the guest ${behaviour}`, async () => {
      await assert.rejects(async () => (await start({ kvm: behaviour }, { limits })).line(listening), reason);
      assert.ok(!accelerators().includes('tcg'));
    });
  }

  it('fails if QEMU does not respond', async () => {
    await assert.rejects(
      start({ kvm: 'does not answer' }, { limits: { answer: 1 } }),
      /QEMU did not come up: qmp_capabilities: QEMU did not respond within 1 s/,
    );
  });

  for (const [behaviour, state] of [
    ['disk full', 'io-error'],
    ['panics, as its device reports', 'guest-panicked'],
  ] as const) {
    it(`fails with the state in which QEMU stopped it: ${state}`, async () => {
      const machine = await start({ kvm: behaviour });
      await machine.line(listening);
      await machine.poweredOff();
      assert.match(machine.report, new RegExp(`QEMU stopped it: ${state} \\(.*\\)\n.*listening`));
      await assert.rejects(machine.line(/anything else/), /io-error|guest-panicked/);
    });
  }

  it('is killed if the expected output is missing, or if it does not power off', async () => {
    const silent = await start({ kvm: 'listens' });
    await silent.line(listening);
    await assert.rejects(silent.line(/never/, 1), /no console line matches \/never\/: timeout after 1 s/);

    const staying = await start({ kvm: 'listens' });
    await staying.line(listening);
    assert.equal(await staying.poweredOff(1), null);
    assert.match(staying.report, /the guest does not power off: timeout after 1 s/);
  });

  it('is off when its TPM has released the keys, which the next one uses', async () => {
    const state = join(directory, 'keys');
    slowTpm(directory);
    for (let boot = 0; boot < 2; boot++) {
      const machine = await start({ kvm: 'listens' }, { tpm: state });
      await machine.line(listening);
      await machine.kill();
      assert.ok(!existsSync(join(state, '.lock')));
    }
  });
});

/** A fake swtpm that needs time to exit, and locks the directory with its keys until then. */
function slowTpm(directory: string): void {
  const program = `#!${process.execPath}
const socket = process.argv.at(-1).split('path=')[1];
const fs = require('node:fs');
fs.writeFileSync('.lock', '', { flag: 'wx' });
require('node:net').createServer((peer) => peer.end()).listen(socket);
process.on('SIGTERM', () => setTimeout(() => { fs.unlinkSync('.lock'); process.exit(); }, 300));
`;
  writeFileSync(join(directory, 'swtpm'), program, { mode: 0o755 });
}
