import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { clientProgram } from '../harness/repository.js';
import { SoftTpm, whyNoTpm } from '../harness/swtpm.js';

const banks = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
const zeros = (bank: string): string => '0'.repeat(createHash(bank).digest('hex').length);

const document = (extra = 'tpm = "require"'): string =>
  `[api]\nallowed_endpoints = ["@pod"]\n\n[measurement]\n${extra}\n`;

interface Foretold {
  readonly configuration: {
    readonly asIs: { readonly digest: string; readonly pcr: Readonly<Record<string, string | number>> };
  };
}

describe('the configuration in a TPM (R8, S7)', { skip: whyNoTpm() ?? false }, () => {
  let folder = '';
  let tpm: SoftTpm;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-measured-'));
    mkdirSync(join(folder, 'run/kata-agent'), { recursive: true });
    tpm = await SoftTpm.start();
  });
  afterEach(async () => {
    await tpm.stop();
    rmSync(folder, { recursive: true });
  });

  /** One guest: its /run outlives its agents, and so does the file system that the first has mounted for its state. */
  const guest = (config: string, env: Readonly<Record<string, string>> = {}) => ({
    config,
    env: { TPM2TOOLS_TCTI: tpm.transport, ...env },
    setup: `mount --bind ${folder}/run /run && mount --bind /run/kata-agent /run/kata-agent`,
  });

  /** Starts an agent, and returns its boot record, its log and the document that it was given. */
  async function start(options: ReturnType<typeof guest>) {
    const agent = await AgentProcess.start(options);
    try {
      await agent.stop();
      const facts = agent.records()[0]?.['facts'] as {
        readonly digest: string;
        readonly measured: readonly { readonly register: string; readonly outcome: string }[];
      };
      const file = join(folder, 'document.toml');
      writeFileSync(file, readFileSync(join(agent.folder, 'config.toml')));
      return { facts, file, log: agent.log.join('\n') };
    } finally {
      await agent.dispose();
    }
  }

  function foretell(file: string, pcr = 23): Foretold['configuration']['asIs'] {
    const args = [clientProgram, 'config', 'digest', file, '--pcr', String(pcr), '--format', 'json'];
    return (JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Foretold).configuration
      .asIs;
  }

  // An audit file in the document keeps the harness from writing one with a folder of its own, which would change the digest.
  const steady = (extra?: string): string => `${document(extra)}\n[audit]\nfile = "/run/audit.log"\n`;

  it('the register equals what config digest foretold and what tpm2_eventlog replays, in every bank', async () => {
    const { facts, file } = await start(guest(document()));
    const foretold = foretell(file);
    assert.equal(facts.digest, foretold.digest);
    assert.deepEqual(
      facts.measured.map(({ register, outcome }) => `${register} ${outcome}`),
      ['PCR 23 extended'],
    );
    for (const bank of ['sha256', 'sha384', 'sha512'])
      assert.equal(tpm.read(bank, 23), foretold.pcr[bank], bank);
    const replayed = tpm.tool('tpm2_eventlog', [join(folder, 'run/kata-agent/measurement/tpm-event-log')]);
    for (const bank of banks)
      assert.ok(replayed.includes(`23 : 0x${tpm.read(bank, 23)}`), `${bank}\n${replayed}`);
    assert.ok(replayed.includes('EV_EVENT_TAG'), replayed);
  });

  it('a second start of the same boot extends nothing', async () => {
    const first = await AgentProcess.start(guest(steady()));
    await first.dispose();
    const value = tpm.read('sha256', 23);
    assert.notEqual(value, zeros('sha256'));
    const second = await AgentProcess.start(guest(steady()));
    await second.dispose();
    assert.match(second.log.join('\n'), /extended before/);
    assert.equal(tpm.read('sha256', 23), value);
  });

  it('another configuration in the same boot is fatal, even one that measures nothing', async () => {
    const first = await AgentProcess.start(guest(steady()));
    await first.dispose();
    const value = tpm.read('sha256', 23);
    for (const changed of [steady('tpm = "require"\n# another'), steady('tpm = "off"')]) {
      const { code, stderr } = await AgentProcess.run(guest(changed));
      assert.equal(code, 3, stderr);
      assert.match(stderr, /this boot was measured with sha256:[0-9a-f]{64}, and the configuration is now/);
      assert.doesNotMatch(stderr, /"msg":"listening"/);
    }
    assert.equal(tpm.read('sha256', 23), value);
  });

  it('another register, by its number', async () => {
    const { file } = await start(guest(document('tpm = "require"\npcr = 8')));
    assert.equal(tpm.read('sha256', 8), foretell(file, 8).pcr['sha256']);
    assert.equal(tpm.read('sha256', 23), zeros('sha256'));
  });

  it('a required measurement that fails is fatal, before the agent listens', async () => {
    const failures: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
      [
        'tpm = "require"',
        { TPM2TOOLS_TCTI: 'swtpm:path=/nowhere' },
        /PCR 23, which is required: the TPM at \/nowhere does not answer/,
      ],
      ['tpm = "require"', { TPM2TOOLS_TCTI: 'cmd:touch /run/owned' }, /TPM2TOOLS_TCTI names .*cmd:/],
      ['rtmr = "require"', {}, /RTMR 3, which is required: .*TDX guest and Linux 6\.16/],
    ];
    for (const [extra, env, message] of failures) {
      const { code, stderr } = await AgentProcess.run(guest(document(extra), env));
      assert.equal(code, 3, stderr);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /"msg":"listening"/);
      assert.doesNotMatch(stderr, /\n {4}at /);
    }
    assert.equal(tpm.read('sha256', 23), zeros('sha256'));
  });

  it('try: without a TPM the agent starts, and the log and the first record say so', async () => {
    const { facts, log } = await start(
      guest(document('tpm = "try"\nrtmr = "try"'), { TPM2TOOLS_TCTI: 'swtpm:path=/nowhere' }),
    );
    assert.deepEqual(
      facts.measured.map(({ register, outcome }) => `${register} ${outcome}`),
      ['PCR 23 failed', 'RTMR 3 failed'],
    );
    assert.match(log, /the configuration is not measured/);
  });
});
