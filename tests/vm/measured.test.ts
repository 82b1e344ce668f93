import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fwCfgName } from '@kata-agent/config';
import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { ctlProgram } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { whyNoTpm } from '../harness/swtpm.js';
import { hostListener } from './listeners.js';
import {
  agentIn,
  boot,
  type Image,
  imageOf,
  poweredOff,
  serves,
  shell,
  stop,
  whyNoMachine,
} from './machine.js';

const skip = whyNoMachine() ?? whyNoTpm() ?? false;

/** Narrower than the base: the document from the host. */
const narrow = '[api]\nblocked_endpoints = ["ExecProcess"]\n\n[limits]\ncontainers = 5\n';

const base = (delivery: string, measurement = 'tpm = "require"'): string => `[api]
allowed_endpoints = ["@pod", "ExecProcess"]

${hostListener()}
[measurement]
${measurement}
${delivery}`;

interface Digests {
  readonly configuration: Readonly<
    Record<'asIs' | 'asInitdata', { readonly digest: string; readonly pcr: Readonly<Record<string, string>> }>
  >;
  readonly lines: Readonly<Record<'pin' | 'initdataPin' | 'kernelCommandLine', string>>;
}

interface BootRecord {
  readonly digest: string;
  readonly documents: readonly { readonly source: string; readonly binding?: string }[];
  readonly measured: readonly { readonly register: string; readonly outcome: string }[];
}

describe('a guest that measures its configuration, and accepts documents from the host (R8)', {
  skip,
}, () => {
  let directory = '';
  let image: Image;
  let document = '';
  let keys = '';
  let count = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-vm-measured-'));
    document = join(directory, 'narrow.toml');
    writeFileSync(document, narrow);
    keys = join(directory, 'tpm');
    image = await imageOf('bare', {});
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  const configuration = (text: string): FileEntry => ({
    path: '/etc/kata-agent/config.toml',
    data: Buffer.from(text),
    mode: 0o644,
  });

  /** The values that a verifier outside the guest computes, for the delivered document after these. */
  function digests(before: readonly string[], ...more: readonly string[]): Digests {
    const bases = before.flatMap((text, index) => {
      const path = join(directory, `base-${index}.toml`);
      writeFileSync(path, text);
      return ['--base', path];
    });
    const args = [ctlProgram, 'config', 'digest', document, ...bases, ...more, '--format', 'json'];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Digests;
  }

  async function under(
    options: Parameters<typeof boot>[2],
    work: (machine: Machine) => Promise<void>,
  ): Promise<void> {
    const machine = await boot(image, join(directory, String(++count)), options);
    try {
      await serves(machine);
      await work(machine);
      await stop(machine);
    } finally {
      await machine.kill();
    }
  }

  async function bootRecord(machine: Machine): Promise<BootRecord> {
    const [first = ''] = (await shell(machine, 'head -n 1 /run/kata-agent/audit.log')).split('\n');
    return (JSON.parse(first) as { readonly facts: BootRecord }).facts;
  }

  /** The narrower document is in force: removed methods are not served, the others are. */
  async function isNarrowed(machine: Machine): Promise<void> {
    const { agent, channel } = await agentIn(machine);
    try {
      assert.equal((await answerOf(agent.execProcess({ containerId: 'c' }))).code, 'UNIMPLEMENTED');
      assert.notEqual((await answerOf(agent.startContainer({ containerId: 'c' }))).code, 'UNIMPLEMENTED');
    } finally {
      channel.close();
    }
  }

  /** The kernel's own values of a register, by bank. */
  async function register(machine: Machine, pcr = 13): Promise<ReadonlyMap<string, string>> {
    const text = await shell(machine, `cd /sys/class/tpm/tpm0 && grep . pcr-*/${pcr}`);
    return new Map(
      Array.from(text.matchAll(/^pcr-(\w+)\/\d+:([\dA-F]+)$/gm), ([, bank = '', value = '']) => [
        bank,
        value.toLowerCase(),
      ]),
    );
  }

  function holds(banks: ReadonlyMap<string, string>, foretold: Readonly<Record<string, string>>): void {
    for (const bank of ['sha256', 'sha384']) assert.equal(banks.get(bank), foretold[bank], bank);
  }

  it('by fw_cfg and on the kernel command line: in the register, in the record, and in force before it listens', async () => {
    const { pin, kernelCommandLine } = digests([]).lines;
    const text = base(`[delivery]\naccept = ["fw_cfg", "kernel_line"]\n${pin}\n`);
    const options = {
      overlay: [configuration(text)],
      tpm: keys,
      append: [kernelCommandLine.split(' ')[0] ?? ''],
      args: ['-fw_cfg', `name=${fwCfgName},file=${document}`],
    };
    await under(options, async (machine) => {
      const foretold = digests([text, narrow]).configuration.asIs;
      const facts = await bootRecord(machine);
      assert.equal(facts.digest, foretold.digest);
      assert.deepEqual(
        facts.documents.map(({ binding }) => binding),
        [undefined, 'pin', 'pin'],
      );
      assert.deepEqual(
        facts.measured.map((one) => `${one.register} ${one.outcome}`),
        ['PCR 13 extended'],
      );
      const output = machine.lines.filter((line) =>
        /"msg":"(the configuration is measured|listening)"/.test(line),
      );
      assert.match(output[0] ?? '', /is measured/);
      assert.match(output[1] ?? '', /"msg":"listening"/);
      await isNarrowed(machine);

      const banks = await register(machine);
      holds(banks, foretold.pcr);
      const log = join(directory, 'tpm-event-log');
      const encoded = await shell(machine, 'base64 /run/kata-agent/measurement/tpm-event-log');
      writeFileSync(log, Buffer.from(encoded, 'base64'));
      const replayed = spawnSync('tpm2_eventlog', [log], { encoding: 'utf8' });
      assert.equal(replayed.status, 0, replayed.stderr);
      assert.ok(banks.size >= 2);
      for (const [bank, value] of banks)
        assert.ok(replayed.stdout.includes(`13 : 0x${value}`), `${bank}\n${replayed.stdout}`);
    });
  });

  it('by an initdata disk: the TPM is reset with the machine', async () => {
    const disk = join(directory, 'initdata.img');
    const { initdataPin } = digests([], '--out', disk).lines;
    const text = base(`[delivery]\naccept = ["initdata"]\n${initdataPin}\n`);
    await under({ overlay: [configuration(text)], tpm: keys, disks: [disk] }, async (machine) => {
      const foretold = digests([text]).configuration.asInitdata;
      assert.equal((await bootRecord(machine)).digest, foretold.digest);
      await isNarrowed(machine);
      holds(await register(machine), foretold.pcr);
      // No document accepts fw_cfg, so the kernel has not read the host's blob.
      await shell(machine, 'test ! -e /sys/firmware/qemu_fw_cfg');
    });
  });

  it('a required measurement without a TPM: the agent exits before it listens, with the reason', async () => {
    const options = { bare: true, overlay: [configuration(base(''))] };
    const machine = await boot(image, join(directory, String(++count)), options);
    await poweredOff(machine);
    const output = machine.lines.join('\n');
    assert.match(output, /reboot: Power down/);
    assert.doesNotMatch(output, /"msg":"listening"|Kernel panic|\n {4}at /);
    assert.match(output, /PCR 13, which is required: the TPM at \/dev\/tpmrm0 does not answer: ENOENT/);
    assert.match(output, /PID 1 ends with code 3; the machine is powered off/);
  });
});
