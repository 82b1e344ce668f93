import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { measure, type Measurement, MeasurementError, type Register, type RegisterReport } from './index.js';
import { SoftRegister } from './soft-register.test.fixture.js';

let directory = '';
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'kata-agent-measure-')), 'measurement');
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

const event = Buffer.from('AAEL of this configuration');
const other = Buffer.from('AAEL of another one');

function start(
  registers: Measurement['registers'],
  { data = event, bootId = 'boot-1' }: { data?: Uint8Array; bootId?: string } = {},
): Promise<readonly RegisterReport[]> {
  const subject = data === event ? 'sha256:this' : 'sha256:other';
  return measure({ event: data, subject, registers }, { directory, bootId });
}

const required = (register: SoftRegister): Measurement['registers'][number] => ({
  register,
  need: 'require',
});
const outcomes = (reports: readonly RegisterReport[]): readonly string[] =>
  reports.map(({ register, outcome }) => `${register} ${outcome}`);

/** Returns the value of a zeroed register after one event. */
function afterOneEvent(hash: string): string {
  const digest = createHash(hash).update(event).digest();
  return createHash(hash).update(Buffer.alloc(digest.length)).update(digest).digest('hex');
}

test('each bank of a register is extended by the digest of the event', async () => {
  const register = new SoftRegister('PCR 23', ['sha1', 'sha256', 'sha384', 'sha512', 'sm3_256']);
  assert.deepEqual(outcomes(await start([required(register)])), ['PCR 23 extended']);
  assert.deepEqual(register.value, {
    sha1: afterOneEvent('sha1'),
    sha256: afterOneEvent('sha256'),
    sha384: afterOneEvent('sha384'),
    sha512: afterOneEvent('sha512'),
    sm3_256: afterOneEvent('sm3'),
  });
});

test('a restart in the same boot does not extend again; a new boot does (S7)', async () => {
  const register = new SoftRegister('PCR 23');
  await start([required(register)]);
  for (let restart = 0; restart < 3; restart += 1) {
    assert.deepEqual(outcomes(await start([required(register)])), ['PCR 23 extended before']);
  }
  assert.equal(register.extends, 1);
  await start([required(register)], { bootId: 'boot-2' });
  assert.equal(register.extends, 2);
});

test('a register that fails does not bind the boot: another configuration can be measured', async () => {
  const register = new SoftRegister('PCR 23');
  register.fail = 'before';
  await assert.rejects(start([required(register)]), MeasurementError);
  assert.deepEqual(outcomes(await start([required(register)], { data: other })), ['PCR 23 extended']);
});

test('after a crash between intent and extend, the next start extends once', async () => {
  const register = new SoftRegister('PCR 23');
  register.fail = 'before';
  let reads = 0;
  // The agent crashes before it can read the register again.
  const vanishing: Register = {
    name: register.name,
    kind: register.kind,
    index: register.index,
    extend: (digests) => register.extend(digests),
    read: () => {
      reads += 1;
      return reads === 1 ? register.read() : Promise.reject(new MeasurementError('gone'));
    },
  };
  await assert.rejects(start([{ register: vanishing, need: 'require' }]), /gone/);
  assert.equal(register.extends, 0);
  await assert.rejects(start([required(register)], { data: other }), /this boot was measured with/);
  assert.deepEqual(outcomes(await start([required(register)])), ['PCR 23 extended']);
  await start([required(register)]);
  assert.equal(register.extends, 1);
});

test('after a crash between extend and record, the next start detects the extend', async () => {
  const register = new SoftRegister('PCR 23');
  register.fail = 'after';
  await assert.rejects(start([required(register)]), MeasurementError);
  assert.deepEqual(outcomes(await start([required(register)])), ['PCR 23 extended before']);
  assert.equal(register.extends, 1);
  assert.equal(register.value['sha256'], afterOneEvent('sha256'));
});

test('a register that another program changed meanwhile is not extended again', async () => {
  const register = new SoftRegister('PCR 23');
  register.fail = 'after';
  await assert.rejects(start([required(register)]), MeasurementError);
  await register.extend({ sha256: '11'.repeat(32), sha384: '22'.repeat(48) });
  await assert.rejects(
    start([required(register)]),
    /PCR 23 was extended by another program .* it is unknown/,
  );
  assert.equal(register.extends, 2);
});

test('later extends by other programs do not matter to a restart', async () => {
  const register = new SoftRegister('PCR 23');
  await start([required(register)]);
  await register.extend({ sha256: '11'.repeat(32), sha384: '22'.repeat(48) });
  assert.deepEqual(outcomes(await start([required(register)])), ['PCR 23 extended before']);
  assert.equal(register.extends, 2);
});

test('another configuration in the same boot is rejected, whatever its measurement settings', async () => {
  const register = new SoftRegister('PCR 23');
  await start([required(register)]);
  const changed =
    /this boot was measured with sha256:this, and the configuration is now sha256:other: start the guest/;
  await assert.rejects(start([required(register)], { data: other }), changed);
  await assert.rejects(start([], { data: other }), changed);
  await assert.rejects(start([{ register, need: 'try' }], { data: other }), changed);
  assert.equal(register.extends, 1);
  assert.deepEqual(outcomes(await start([required(register)])), ['PCR 23 extended before']);
});

test('try: a failing register is reported and the others are extended', async () => {
  const broken = new SoftRegister('PCR 23');
  broken.fail = 'before';
  const whole = new SoftRegister('RTMR 3', ['sha384'], 'rtmr');
  const reports = await start([{ register: broken, need: 'try' }, required(whole)]);
  assert.deepEqual(outcomes(reports), ['PCR 23 failed', 'RTMR 3 extended']);
  assert.equal(reports[0]?.reason, 'PCR 23 is broken');
});

test('require: a failing register is an error that names it', async () => {
  const register = new SoftRegister('PCR 23');
  register.fail = 'before';
  await assert.rejects(start([required(register)]), {
    name: 'MeasurementError',
    message: 'the configuration could not be measured into PCR 23, which is required: PCR 23 is broken',
  });
});

test('an extend that does not change the register is an error', async () => {
  const register = new SoftRegister('PCR 23');
  register.extend = async () => undefined;
  await assert.rejects(start([required(register)]), /PCR 23 does not have the extended value/);
});

test('nothing is written without registers', async () => {
  assert.deepEqual(await start([]), []);
  assert.equal(existsSync(directory), false);
});

test('an unreadable boot record is an error, not a second extend', async () => {
  const register = new SoftRegister('PCR 23');
  await start([required(register)]);
  writeFileSync(join(directory, 'state.json'), '{');
  await assert.rejects(start([required(register)]), /state\.json is not a readable boot record/);
  assert.equal(register.extends, 1);
});

test('each kind of register has an event log, unchanged after a restart', async () => {
  const registers = [
    required(new SoftRegister('PCR 23')),
    required(new SoftRegister('RTMR 3', ['sha384'], 'rtmr')),
  ];
  await start(registers);
  const log = readFileSync(join(directory, 'tpm-event-log'));
  assert.ok(log.includes(event));
  assert.ok(log.includes(createHash('sha384').update(event).digest()));
  assert.ok(
    !readFileSync(join(directory, 'rtmr-event-log')).includes(createHash('sha256').update(event).digest()),
  );
  rmSync(join(directory, 'tpm-event-log'));
  await start(registers);
  assert.deepEqual(readFileSync(join(directory, 'tpm-event-log')), log);
});
