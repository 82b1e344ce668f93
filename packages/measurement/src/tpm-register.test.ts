import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MeasurementError, type RunTool, tpmRegister, tpmTools, tpmTransport } from './index.js';

// As tpm2-tools 5.7 print them.
const getcap =
  'selected-pcrs:\n  - sha1: [ ]\n  - sha256: [ 0, 1, 8, 9, 23 ]\n  - sha384: [ 0, 1, 8, 9, 23 ]\n  - sha512: [ 0, 1 ]\n';
const pcrread = `  sha256:\n    8 : 0x${'AB'.repeat(32)}\n  sha384:\n    8 : 0x${'CD'.repeat(48)}\n`;

/** Answers by command, and the argument vectors that were run. */
function tools(answers: Readonly<Record<string, string>>): RunTool & { readonly ran: string[][] } {
  const ran: string[][] = [];
  const run: RunTool = async (command, args) => {
    ran.push([command, ...args]);
    return answers[command] ?? '';
  };
  return Object.assign(run, { ran });
}

test('the banks that have the register are read and extended, each in one call', async () => {
  const run = tools({ tpm2_getcap: getcap, tpm2_pcrread: pcrread });
  const register = tpmRegister(8, run);
  assert.deepEqual(await register.read(), { sha256: 'ab'.repeat(32), sha384: 'cd'.repeat(48) });
  await register.extend({ sha256: 'aa', sha384: 'bb' });
  assert.deepEqual(run.ran, [
    ['tpm2_getcap', 'pcrs'],
    ['tpm2_pcrread', 'sha256:8+sha384:8'],
    ['tpm2_pcrextend', '8:sha256=aa,sha384=bb'],
  ]);
});

test('a bank that cannot be extended, a register in no bank and an answer that cannot be read are errors', async () => {
  const unknown = tpmRegister(0, tools({ tpm2_getcap: '  - sha256: [ 0 ]\n  - blake9: [ 0 ]\n' }));
  await assert.rejects(unknown.read(), /bank blake9.*tpm2_pcrallocate/);
  await assert.rejects(
    tpmRegister(22, tools({ tpm2_getcap: getcap })).read(),
    /no bank of the TPM has PCR 22/,
  );
  const half = tpmRegister(8, tools({ tpm2_getcap: getcap, tpm2_pcrread: '  sha256:\n    8 : 0xab\n' }));
  await assert.rejects(half.read(), /did not tell PCR 8 of bank sha384/);
});

test('a command that is missing, that fails, or that reads its environment', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-agent-tools-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const tool = (name: string, body: string): void => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  tool('tpm2_fails', 'echo "WARN: x" >&2; echo "ERROR: no such TPM" >&2; exit 1');
  tool('tpm2_env', 'echo "$TPM2TOOLS_TCTI|$HOME|$1"');
  const run = tpmTools({ transport: 'device:/dev/tpm7', path: folder });
  await assert.rejects(run('tpm2_none', []), { message: 'tpm2_none is not there: install tpm2-tools' });
  await assert.rejects(run('tpm2_fails', []), { message: 'tpm2_fails failed: no such TPM' });
  assert.equal(await run('tpm2_env', ['$(id); x']), 'device:/dev/tpm7||$(id); x\n');
});

test('the environment can name a TPM or a swtpm, and nothing that is run or loaded', () => {
  const of = (tcti: string | undefined, pid = 100): string => tpmTransport({ TPM2TOOLS_TCTI: tcti }, pid);
  assert.equal(of(undefined), 'device:/dev/tpmrm0');
  for (const good of [
    'device:/dev/tpm0',
    'device:/dev/tpmrm1',
    'swtpm:path=/tmp/a-b/sock',
    'swtpm:host=localhost,port=2321',
  ]) {
    assert.equal(of(good), good);
  }
  for (const bad of [
    '',
    'cmd:sh -c id',
    'libtcti.so',
    'device:/dev/../etc/x',
    'swtpm:host=10.0.0.1,port=1',
    'tabrmd',
  ]) {
    assert.throws(() => of(bad), MeasurementError, bad);
  }
});

test('PID 1 does not listen to its environment, which the kernel line fills (S23)', () => {
  assert.equal(tpmTransport({ TPM2TOOLS_TCTI: 'swtpm:path=/run/fake' }, 1), 'device:/dev/tpmrm0');
});
