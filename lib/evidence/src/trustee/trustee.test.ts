import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeValues as makeSnpValues, milan } from '../testing/snp-platform.js';
import { makeValues as makeTdxValues } from '../testing/tdx-platform.js';
import { parseReferenceValues } from '../verify/values.js';
import { sampleMessage, trusteeValues } from './reference-message.js';
import { resourcePolicy } from './resource-policy.js';

const parse = (values: object) =>
  parseReferenceValues(Buffer.from(JSON.stringify({ v: 1, accept: ['snp', 'tdx'], ...values })));

test('values have the names that the shipped policy asks for', () => {
  const values = trusteeValues(parse({ snp: [makeSnpValues(milan)], tdx: [makeTdxValues()] }));
  assert.deepEqual(Object.keys(values).sort(), [
    'mr_td',
    'rtmr_1',
    'rtmr_2',
    'snp_bootloader',
    'snp_guest_abi_major',
    'snp_guest_abi_minor',
    'snp_launch_measurement',
    'snp_microcode',
    'snp_single_socket',
    'snp_smt_allowed',
    'snp_snp_svn',
    'snp_tee_svn',
    'xfam',
  ]);
  assert.deepEqual(values['snp_launch_measurement'], ['4d'.repeat(48)]);
  const levels = values['snp_snp_svn'] as readonly number[];
  assert.deepEqual([levels[0], levels.at(-1), levels.length], [8, 255, 248]);
  // 0x30000: SMT allowed, several sockets.
  assert.deepEqual(
    [values['snp_smt_allowed'], values['snp_single_socket'], values['snp_guest_abi_major']],
    [true, false, 0],
  );
  assert.match((values['mr_td'] as readonly string[])[0] ?? '', /^[0-9a-f]{96}$/);
});

test('values of several tuples are lists, and a single one that differs is left out', () => {
  const two = [
    makeSnpValues(milan),
    makeSnpValues(milan, { measurement: '11'.repeat(48), policy: '0x130000' }),
  ];
  const values = trusteeValues(parse({ snp: two }));
  assert.equal((values['snp_launch_measurement'] as readonly string[]).length, 2);
  assert.ok(!('snp_single_socket' in values));
  assert.equal(values['snp_smt_allowed'], true);
  assert.ok(!('mr_td' in values));
});

test('a message has the values as its payload, in base64', () => {
  const message = JSON.parse(sampleMessage({ mr_td: ['00'] })) as Record<string, string>;
  assert.deepEqual([message['version'], message['type']], ['0.1.0', 'sample']);
  assert.equal(Buffer.from(message['payload'] ?? '', 'base64').toString(), '{"mr_td":["00"]}');
});

test('a policy names the initdata, and the resources if there are any', () => {
  const initdata = { hostData: 'ab'.repeat(32), mrConfigId: 'cd'.repeat(48) };
  const all = resourcePolicy([initdata, initdata]);
  assert.ok(all.includes(`"snp": {"${'ab'.repeat(32)}"},`));
  assert.ok(all.includes(`"tdx": {"${'cd'.repeat(48)}"},`));
  assert.doesNotMatch(all, /resource-path/);
  assert.match(
    resourcePolicy([initdata], ['default/key/1']),
    /"resource-path"\] in \[\["default","key","1"\]\]/,
  );
});
