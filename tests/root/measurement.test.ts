import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { ctlProgram } from '../harness/repository.js';
import { SoftTpm, whyNoTpm } from '../harness/swtpm.js';

const banks = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
const zeros = (bank: string): string => '0'.repeat(createHash(bank).digest('hex').length);

const documentText = (extra = 'tpm = "require"'): string =>
  `[api]\nallowed_endpoints = ["@pod"]\n\n[measurement]\n${extra}\n`;

interface Prediction {
  readonly configuration: {
    readonly asIs: { readonly digest: string; readonly pcr: Readonly<Record<string, string | number>> };
  };
}

describe('measurement of the configuration by a TPM (R8, S7)', { skip: whyNoTpm() ?? false }, () => {
  let directory = '';
  let tpm: SoftTpm;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-measured-'));
    mkdirSync(join(directory, 'run/kata-agent'), { recursive: true });
    tpm = await SoftTpm.start();
  });
  afterEach(async () => {
    await tpm.stop();
    rmSync(directory, { recursive: true });
  });

  /** Returns options of an agent in a guest whose /run, with the state directory, is kept between agents. */
  const guest = (config: string, env: Readonly<Record<string, string>> = {}) => ({
    config,
    env: { TPM2TOOLS_TCTI: tpm.transport, ...env },
    setup: `mount --bind ${directory}/run /run && mount --bind /run/kata-agent /run/kata-agent`,
  });

  /** Starts an agent, and returns its boot record, its log and its document. */
  async function start(options: ReturnType<typeof guest>) {
    const agent = await AgentProcess.start(options);
    try {
      await agent.stop();
      const facts = agent.records()[0]?.['facts'] as {
        readonly digest: string;
        readonly measured: readonly { readonly register: string; readonly outcome: string }[];
      };
      const file = join(directory, 'document.toml');
      writeFileSync(file, readFileSync(join(agent.directory, 'config.toml')));
      return { facts, file, log: agent.log.join('\n') };
    } finally {
      await agent.dispose();
    }
  }

  /** Returns the digest and the PCR value that kata-agent-ctl calculates for a document. */
  function predict(file: string, pcr = 13): Prediction['configuration']['asIs'] {
    const args = [ctlProgram, 'config', 'digest', file, '--pcr', String(pcr), '--format', 'json'];
    return (JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Prediction)
      .configuration.asIs;
  }

  // The harness adds an audit file in a directory of its own to a document without one, which would change the digest.
  const fixedDocument = (extra?: string): string =>
    `${documentText(extra)}\n[audit]\nfile = "/run/audit.log"\n`;

  it('the PCR equals the output of config digest and of tpm2_eventlog in every bank', async () => {
    const { facts, file } = await start(guest(documentText()));
    const predicted = predict(file);
    assert.equal(facts.digest, predicted.digest);
    assert.deepEqual(
      facts.measured.map(({ register, outcome }) => `${register} ${outcome}`),
      ['PCR 13 extended'],
    );
    for (const bank of ['sha256', 'sha384', 'sha512'])
      assert.equal(tpm.read(bank, 13), predicted.pcr[bank], bank);
    const replayed = tpm.tool('tpm2_eventlog', [join(directory, 'run/kata-agent/measurement/tpm-event-log')]);
    for (const bank of banks)
      assert.ok(replayed.includes(`13 : 0x${tpm.read(bank, 13)}`), `${bank}\n${replayed}`);
    assert.ok(replayed.includes('EV_EVENT_TAG'), replayed);
  });

  it('a second start in the same boot does not extend the PCR', async () => {
    const first = await AgentProcess.start(guest(fixedDocument()));
    await first.dispose();
    const value = tpm.read('sha256', 13);
    assert.notEqual(value, zeros('sha256'));
    const second = await AgentProcess.start(guest(fixedDocument()));
    await second.dispose();
    assert.match(second.log.join('\n'), /extended before/);
    assert.equal(tpm.read('sha256', 13), value);
  });

  it('a changed configuration in the same boot is fatal, even if it turns measurement off', async () => {
    const first = await AgentProcess.start(guest(fixedDocument()));
    await first.dispose();
    const value = tpm.read('sha256', 13);
    for (const changed of [fixedDocument('tpm = "require"\n# another'), fixedDocument('tpm = "off"')]) {
      const { code, stderr } = await AgentProcess.run(guest(changed));
      assert.equal(code, 3, stderr);
      assert.match(stderr, /this boot was measured with sha256:[0-9a-f]{64}, and the configuration is now/);
      assert.doesNotMatch(stderr, /"msg":"listening"/);
    }
    assert.equal(tpm.read('sha256', 13), value);
  });

  it('the configuration selects the PCR by number', async () => {
    const { file } = await start(guest(documentText('tpm = "require"\npcr = 8')));
    assert.equal(tpm.read('sha256', 8), predict(file, 8).pcr['sha256']);
    assert.equal(tpm.read('sha256', 13), zeros('sha256'));
  });

  it('a required measurement that fails is fatal before the agent listens', async () => {
    const failures: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
      [
        'tpm = "require"',
        { TPM2TOOLS_TCTI: 'swtpm:path=/nowhere' },
        /PCR 13, which is required: the TPM at \/nowhere does not answer/,
      ],
      ['tpm = "require"', { TPM2TOOLS_TCTI: 'cmd:touch /run/owned' }, /TPM2TOOLS_TCTI names .*cmd:/],
      ['rtmr = "require"', {}, /RTMR 3, which is required: .*TDX guest with Linux 6\.16/],
    ];
    for (const [extra, env, message] of failures) {
      const { code, stderr } = await AgentProcess.run(guest(documentText(extra), env));
      assert.equal(code, 3, stderr);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /"msg":"listening"/);
      assert.doesNotMatch(stderr, /\n {4}at /);
    }
    assert.equal(tpm.read('sha256', 13), zeros('sha256'));
  });

  it('checkpoints of the audit log are extended into a PCR of their own, at the start and at the end, also after a restart', async () => {
    const log = join(directory, 'run/kata-agent/measurement/checkpoints-event-log');
    const document = fixedDocument('tpm = "require"\ncheckpoint_pcr = 14');
    const file = join(directory, 'document.toml');
    let entries = 0;
    for (const _ of ['first', 'second']) {
      const agent = await AgentProcess.start(guest(document));
      const { agent: client } = await agent.connect();
      await assert.rejects(client.createContainer({ containerId: 'none' }));
      await agent.stop();
      const checkpoint = readFileSync(join(directory, 'run/audit.log.checkpoint'));
      writeFileSync(file, readFileSync(join(agent.directory, 'config.toml')));
      await agent.dispose();
      const replayed = tpm.tool('tpm2_eventlog', [log]);
      for (const bank of banks) assert.ok(replayed.includes(`14 : 0x${tpm.read(bank, 14)}`), replayed);
      const count = replayed.split('EV_EVENT_TAG').length - 1;
      assert.ok(count >= entries + 2, replayed);
      entries = count;
      assert.ok(readFileSync(log).includes(checkpoint), checkpoint.toString());
    }
    assert.equal(tpm.read('sha256', 13), predict(file).pcr['sha256']);
  });

  it('with tpm = "try" and no TPM the agent starts, logs a warning and records the reason', async () => {
    const { facts, log } = await start(
      guest(documentText('tpm = "try"\nrtmr = "try"'), { TPM2TOOLS_TCTI: 'swtpm:path=/nowhere' }),
    );
    assert.deepEqual(
      facts.measured.map(({ register, outcome }) => `${register} ${outcome}`),
      ['PCR 13 failed', 'RTMR 3 failed'],
    );
    assert.match(log, /the configuration is not measured/);
  });
});
