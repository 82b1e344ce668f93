import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { digestsFor, extended } from './register.js';
import { writeEventLog } from './event-log.js';
import { MeasurementError, RegisterLog } from './index.js';
import { SoftRegister } from './soft-register.test.fixture.js';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kata-agent-register-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const banks = ['sha256', 'sha384'];
const open = (register: SoftRegister, bootId = 'boot-1') =>
  RegisterLog.open(register, { directory, bootId, name: 'checkpoints' });
const path = (): string => join(directory, 'checkpoints-event-log');
const event = (text: string): Uint8Array => Buffer.from(text);

/** Asserts that register and log have exactly these events. */
function assertEvents(register: SoftRegister, texts: readonly string[]): void {
  const events = texts.map((text) => ({
    index: register.index,
    digests: digestsFor(banks, event(text)),
    event: event(text),
  }));
  const start = new SoftRegister('').value;
  assert.deepEqual(
    register.value,
    events.reduce((value, { digests }) => extended(value, digests), start),
  );
  const logged = readFileSync(path());
  const expected = Buffer.from(writeEventLog(events));
  // Without events the header of writeEventLog names no banks.
  if (texts.length > 0) assert.deepEqual(logged, expected);
  assert.equal(register.extends, texts.length);
}

test('events are extended and logged one after the other, over starts in one boot', async () => {
  const register = new SoftRegister('PCR 14', banks);
  const first = await open(register);
  await Promise.all([first.extend(event('a')), first.extend(event('b'))]);
  assertEvents(register, ['a', 'b']);
  await (await open(register)).extend(event('c'));
  assertEvents(register, ['a', 'b', 'c']);
});

test('a reboot begins a new log', async () => {
  await (await open(new SoftRegister('PCR 14', banks))).extend(event('a'));
  const register = new SoftRegister('PCR 14', banks);
  await (await open(register, 'boot-2')).extend(event('b'));
  assertEvents(register, ['b']);
});

test('an extend that fails, before or after the register has changed, is repeated or finished', async () => {
  for (const restarts of [false, true])
    for (const fail of ['before', 'after'] as const) {
      rmSync(directory, { recursive: true });
      const register = new SoftRegister('PCR 14', banks);
      const log = await open(register);
      await log.extend(event('a'));
      register.fail = fail;
      await assert.rejects(log.extend(event('b')), MeasurementError);
      const next = restarts ? await open(register) : log;
      await next.extend(event('c'));
      assertEvents(register, fail === 'before' ? ['a', 'c'] : ['a', 'b', 'c']);
    }
});

test('a part of an entry that a crash has left is replaced', async () => {
  const register = new SoftRegister('PCR 14', banks);
  const log = await open(register);
  await log.extend(event('a'));
  appendFileSync(path(), 'half an entry');
  await log.extend(event('b'));
  assertEvents(register, ['a', 'b']);
});

test('an event of another program is an error, at each start and in between', async () => {
  const register = new SoftRegister('PCR 14', banks);
  const log = await open(register);
  await log.extend(event('a'));
  await register.extend(digestsFor(banks, event('of another')));
  await assert.rejects(log.extend(event('b')), /PCR 14 was extended by another program/);
  await assert.rejects(open(register), /PCR 14 was extended by another program/);
});

test('a state that cannot be read is an error, since the log would lack events', async () => {
  const register = new SoftRegister('PCR 14', banks);
  await (await open(register)).extend(event('a'));
  writeFileSync(`${path()}.state`, '{');
  await assert.rejects(open(register), /state cannot be read: .*: start the guest again/);
});
