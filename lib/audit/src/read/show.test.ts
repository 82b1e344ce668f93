import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditRecord } from '../record/record.js';
import { renderHeader, renderRecord } from './show.js';

const envelope = {
  sequence: 7,
  boot: 'b1',
  monotonic: 1,
  wall: '2026-01-02T03:04:05.678Z',
  prev: '0'.repeat(64),
  hash: 'f'.repeat(64),
};
const caller = { listener: 'host', peer: 'cid 2', method: 'ExecProcess' };
const decision = { outcome: 'allow', reason: 'in allowed_endpoints (config.toml:14)' } as const;
const subject = { containerId: 'c1', execId: 'e1', argv0: '/bin/ls' };
const position = { sequence: 0, hash: '0'.repeat(64) };
const summary = { after: position, last: { ...position, sequence: 6 }, counts: {} };

function ending(record: AuditRecord): string {
  return renderRecord(record).slice(renderRecord(record).indexOf(record.kind)).replaceAll(/ +/g, ' ');
}

test('each kind of record is rendered as one line', () => {
  assert.equal(
    renderRecord({ ...envelope, kind: 'intent', ...caller, decision, digest: '', subject }),
    '      7 2026-01-02T03:04:05.678Z intent   host     cid 2          ExecProcess       c1/e1 /bin/ls in allowed_endpoints (config.toml:14)',
  );
  const result = { code: 'NOT_FOUND', message: 'no such container', durationUs: 1500, bytes: 3 };
  assert.equal(
    ending({
      ...envelope,
      kind: 'outcome',
      intent: 6,
      ...caller,
      subject: { containerId: 'c1', execId: '' },
      result,
    }),
    'outcome host cid 2 ExecProcess #6 c1 NOT_FOUND 1.500 ms 3 bytes no such container',
  );
  assert.equal(
    ending({
      ...envelope,
      kind: 'call',
      ...caller,
      decision,
      digest: '',
      result: { code: 'OK', durationUs: 7 },
    }),
    'call host cid 2 ExecProcess OK 0.007 ms',
  );
  for (const [after, printed] of [
    ['2026-01-02T00:00:00.000Z', 'was set from 2026-01-01T00:00:00.000Z to 2026-01-02T00:00:00.000Z'],
    ['2026-01-01T00:00:00.000Z', 'was left at 2026-01-01T00:00:00.000Z'],
  ] as const) {
    const clock = { before: '2026-01-01T00:00:00.000Z', after };
    const result = { code: 'OK', durationUs: 7, clock };
    assert.equal(
      ending({ ...envelope, kind: 'outcome', intent: 6, ...caller, method: 'SetGuestDateTime', result }),
      `outcome host cid 2 SetGuestDateTime #6 OK 0.007 ms the clock ${printed}`,
    );
  }
  for (const [image, printed] of [
    [{ from: 'pause_bundle' }, 'the pause bundle of the guest'],
    [{ from: 'pulled', manifestDigest: 'sha256:b' }, 'image sha256:b'],
    [
      { from: 'pulled', digest: 'sha256:a', signatures: ['sha256:k (bundle, of the index)'] },
      'image sha256:a signed by sha256:k (bundle, of the index)',
    ],
  ] as const) {
    const result = { code: 'OK', durationUs: 7, image };
    assert.equal(
      ending({ ...envelope, kind: 'outcome', intent: 6, ...caller, method: 'CreateContainer', result }),
      `outcome host cid 2 CreateContainer #6 OK 0.007 ms ${printed}`,
    );
  }
  for (const [secrets, printed] of [
    [{ count: 1, names: ['kbs:///a/b/c'] }, 'asked for the secret kbs:///a/b/c'],
    [
      { count: 3, names: ['kbs:///a/b/c', 'sha256:d'] },
      'asked for the secrets kbs:///a/b/c, sha256:d and 1 more',
    ],
  ] as const) {
    const result = { code: 'OK', durationUs: 7, secrets };
    assert.equal(
      ending({ ...envelope, kind: 'outcome', intent: 6, ...caller, method: 'CreateContainer', result }),
      `outcome host cid 2 CreateContainer #6 OK 0.007 ms ${printed}`,
    );
  }
  assert.equal(
    ending({
      ...envelope,
      kind: 'call',
      ...caller,
      decision: { outcome: 'allow', rule: 'known-commands', reason: 'not this one' },
      digest: '',
      result: { code: 'OK', durationUs: 7 },
    }),
    'call host cid 2 ExecProcess rule known-commands would deny it: OK 0.007 ms',
  );
  const deny = { outcome: 'deny', rule: 'known-commands', reason: 'not this one' } as const;
  assert.equal(
    ending({ ...envelope, kind: 'refusal', ...caller, decision: deny, digest: '', subject: { argv0: 'sh' } }),
    'refusal host cid 2 ExecProcess sh rule known-commands: not this one',
  );
  assert.equal(
    ending({
      ...envelope,
      kind: 'refusal',
      ...caller,
      claimedOperator: 'alice "a"',
      decision: { ...deny, code: 'KA3001' },
      digest: '',
    }),
    'refusal host cid 2 ExecProcess operator "alice \\"a\\"" (claimed) KA3001 rule known-commands: not this one',
  );
  assert.equal(
    ending({ ...envelope, kind: 'refusal', ...caller, decision: { ...deny, code: 'KA3001' }, digest: '' }),
    'refusal host cid 2 ExecProcess KA3001 rule known-commands: not this one',
  );
  assert.equal(
    ending({ ...envelope, kind: 'fold', of: 'refusal', ...caller, decision: deny, since: 1, count: 99 }),
    'fold host cid 2 ExecProcess 99 more refused rule known-commands:',
  );
  assert.equal(
    ending({
      ...envelope,
      kind: 'fold',
      of: 'call',
      ...caller,
      decision,
      since: 1,
      count: 9,
      code: 'OK',
      bytes: 90,
    }),
    'fold host cid 2 ExecProcess 9 more OK 90 bytes',
  );
  assert.equal(
    ending({
      ...envelope,
      kind: 'fold',
      of: 'call',
      ...caller,
      decision,
      since: 1,
      count: 9,
      code: 'OK',
      bytes: 0,
    }),
    'fold host cid 2 ExecProcess 9 more OK',
  );
  assert.equal(ending({ ...envelope, kind: 'boot', facts: { version: '1' } }), 'boot boot b1 version 1');
  assert.equal(
    ending({ ...envelope, kind: 'rotated', segment: summary }),
    'rotated records 1 to 6 are in this segment',
  );
  assert.equal(
    ending({ ...envelope, kind: 'rotated', segment: summary, removed: summary }),
    'rotated records 1 to 6 are in this segment; 1 to 6 were removed',
  );
  assert.equal(
    ending({ ...envelope, kind: 'repaired', cutBytes: 5 }),
    'repaired a torn last line of 5 bytes was truncated',
  );
  assert.equal(
    ending({ ...envelope, kind: 'lost', count: 5, failure: 'ENOSPC' }),
    'lost 5 records are missing: ENOSPC',
  );
});

test('the header matches the columns', () => {
  const line = renderRecord({ ...envelope, kind: 'refusal', ...caller, decision, digest: '' });
  const header = renderHeader();
  for (const [name, text] of [
    ['time', '2026'],
    ['kind', 'refusal'],
    ['listener', 'host'],
    ['peer', 'cid 2'],
    ['method', 'ExecProcess'],
    ['what', 'in allowed'],
  ] as const) {
    assert.equal(header.indexOf(name), line.indexOf(text), name);
  }
});

test('no text of a record affects the terminal', () => {
  const nasty = 'a\u001b[2J\u009b1m\u202e\u2066\u2028\u2029\u200b\ufeff\r\n\u{e0001}b';
  const line = renderRecord({
    ...envelope,
    kind: 'intent',
    ...caller,
    peer: nasty,
    method: nasty,
    decision: { ...decision, reason: nasty },
    digest: '',
    subject: { argv0: nasty },
  });
  assert.doesNotMatch(line, /[^\P{C} ]|[\p{Zl}\p{Zp}]/u);
  assert.match(line, /a\\u\{1b\}\[2J\\u\{9b\}1m\\u\{202e\}/);
});

test('a record of a kind that only later versions have is rendered, and cannot affect the terminal', () => {
  const later = {
    ...envelope,
    wall: '\u001b[2J',
    kind: '\u009b1m',
    listener: { toString: 1 },
    method: 'm',
    result: null,
  } as unknown as AuditRecord;
  assert.equal(renderRecord(later).trim(), '7 \\u{1b}[2J                \\u{9b}1m                         m');
  assert.match(renderRecord(later, { color: true }), /^\u001b\[2m[^\u001b\u009b]*\u001b\[22m$/);
});

test('colours are used on request', () => {
  const colored = (record: AuditRecord): string | undefined =>
    renderRecord(record, { color: true }).split('m')[0]?.slice(1);
  const call = { ...envelope, kind: 'call', ...caller, decision, digest: '' } as const;
  assert.equal(colored({ ...call, result: { code: 'OK', durationUs: 1 } }), '[2');
  assert.equal(colored({ ...call, result: { code: 'INTERNAL', durationUs: 1 } }), '[33');
  assert.equal(colored({ ...envelope, kind: 'refusal', ...caller, decision, digest: '' }), '[31');
  assert.equal(
    colored({ ...envelope, kind: 'fold', of: 'refusal', ...caller, decision, since: 0, count: 1 }),
    '[31',
  );
  assert.equal(renderHeader({ color: true }).startsWith('\u001b[1m'), true);
});

test('a boot is described in words', () => {
  const facts = {
    version: '0.1.0',
    digest: 'ab12',
    documents: [{ file: '/etc/kata-agent/config.toml', source: 'default path', sha256: 'cd' }],
    ignoredOverrides: [{ key: 'server_addr', value: 'unix:///x' }],
    leftOut: ['CopyFile'],
    missingComponents: [],
    restricted: false,
  };
  assert.equal(
    ending({ ...envelope, kind: 'boot', facts }),
    'boot boot b1 version 0.1.0, configuration ab12, of /etc/kata-agent/config.toml (default path), ' +
      'which restricts nothing, ignored overrides: server_addr, without CopyFile',
  );
});

test('a narrow record has its text in the last column, and the caller at its end', () => {
  const reason = 'rule "no-shells" refused it (/etc/kata-agent/config.toml:14)';
  const denied = { outcome: 'deny', code: 'KA3101', rule: 'no-shells', reason } as const;
  const peer = `spki:sha256:${'0123456789abcdef'.repeat(4)}`;
  const record = {
    ...envelope,
    kind: 'refusal',
    ...caller,
    peer,
    decision: denied,
    digest: '',
    subject,
  } as const;
  assert.equal(
    renderRecord(record, { narrow: true }),
    '     7 01-02 03:04:05.678 refusal    ExecProcess KA3101 c1/e1 /bin/ls rule "no-shells" refused it ' +
      '(/etc/kata-agent/config.toml:14) (spki:sha256:012…89abcdef, host)',
  );
  assert.equal(renderHeader({ narrow: true }), '     # time               kind       what');
  const hostile = { ...record, decision: { ...denied, reason: 'a   b\u001b[2J\n' } };
  assert.match(renderRecord(hostile, { narrow: true }), / a b\\u\{1b\}\[2J\\u\{a\} \(/);
});
