import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordBody } from '@kata-agent/audit';
import type { Activity } from './activity.js';
import { ActivityReader, limits } from './activity-reader.js';

const caller = { listener: 'host', peer: 'cid 2' } as const;
const allow = { outcome: 'allow', reason: 'listed' } as const;
const deny = { outcome: 'deny', code: 'KA3001', reason: 'not listed' } as const;
const ok = { code: 'OK', durationUs: 1 } as const;

/** The activity of these records, one a second. */
function activityOf(bodies: readonly RecordBody[], marks: readonly number[] = []): Activity {
  const reader = new ActivityReader(marks.map((sequence) => ({ sequence, text: 'a mark' })));
  for (const [index, body] of bodies.entries()) {
    const wall = new Date(index * 1_000).toISOString();
    const envelope = { sequence: index + 1, boot: 'b', monotonic: index * 1e9, wall, prev: '', hash: '' };
    reader.add({ ...envelope, ...body });
  }
  return reader.activity;
}

test('an intent and its outcome are one call; a fold is as many as it counts', () => {
  const { calls, denied, failed, methods } = activityOf([
    { kind: 'intent', ...caller, method: 'StartContainer', decision: allow, digest: '' },
    { kind: 'outcome', ...caller, method: 'StartContainer', intent: 1, result: ok },
    {
      kind: 'call',
      ...caller,
      method: 'StatsContainer',
      decision: allow,
      digest: '',
      result: { ...ok, code: 'NOT_FOUND' },
    },
    {
      kind: 'fold',
      ...caller,
      method: 'StatsContainer',
      of: 'call',
      decision: allow,
      since: 0,
      count: 40,
      code: 'OK',
    },
    { kind: 'fold', ...caller, method: 'CopyFile', of: 'refusal', decision: deny, since: 0, count: 7 },
  ]);
  assert.deepEqual({ calls, denied, failed }, { calls: 49, denied: 7, failed: 1 });
  assert.deepEqual(
    methods.rows.map(({ method, calls: of }) => [method, of]),
    [
      ['StatsContainer', 41],
      ['CopyFile', 7],
      ['StartContainer', 1],
    ],
  );
});

test('a call that a check of the guest denies has its reason from its result', () => {
  const { calls, denied, denials } = activityOf([
    {
      kind: 'intent',
      ...caller,
      method: 'CreateContainer',
      decision: { ...allow, rule: 'audited' },
      digest: '',
    },
    {
      kind: 'outcome',
      ...caller,
      method: 'CreateContainer',
      intent: 1,
      result: { code: 'PERMISSION_DENIED', message: 'a mount on /', durationUs: 1 },
    },
  ]);
  assert.deepEqual({ calls, denied }, { calls: 1, denied: 1 });
  assert.deepEqual(
    denials.rows.map(({ reason, rule, code }) => ({ reason, rule, code })),
    [{ reason: 'a mount on /', rule: undefined, code: undefined }],
  );
});

test('denials with the same caller, method, container, rule and reason are one row', () => {
  const refusal = (containerId: string, rule: string): RecordBody => ({
    kind: 'refusal',
    ...caller,
    method: 'ExecProcess',
    decision: { ...deny, rule },
    digest: '',
    subject: { containerId },
  });
  const { denials } = activityOf([refusal('a', 'one'), refusal('b', 'two'), refusal('b', 'two')]);
  assert.deepEqual(
    denials.rows.map(({ rule, count, sequence, containerId }) => ({ rule, count, sequence, containerId })),
    [
      { rule: 'two', count: 2, sequence: 2, containerId: 'b' },
      { rule: 'one', count: 1, sequence: 1, containerId: 'a' },
    ],
  );
});

test('each create is a container of its own: another one with its id has neither its image nor its result', () => {
  const create = (image: string): RecordBody => ({
    kind: 'intent',
    ...caller,
    method: 'CreateContainer',
    decision: allow,
    digest: '',
    subject: { containerId: 'c1' },
    request: { image, privileges: image === 'evil' ? ['CAP_SYS_ADMIN'] : [] } as never,
  });
  const ended = (intent: number, code: string, image?: object): RecordBody =>
    ({
      kind: 'outcome',
      ...caller,
      method: 'CreateContainer',
      intent,
      subject: { containerId: 'c1' },
      result: { ...ok, code, ...(image === undefined ? {} : { image }) },
    }) as RecordBody;
  const { containers } = activityOf([
    create('good'),
    ended(1, 'OK', { from: 'registry', digest: 'sha256:aa', signatures: ['key tenant'] }),
    create('evil'),
    ended(3, 'OK'),
    create('good'),
    ended(5, 'ALREADY_EXISTS'),
    {
      kind: 'refusal',
      ...caller,
      method: 'CreateContainer',
      decision: deny,
      digest: '',
      subject: { containerId: 'c1' },
    },
  ]);
  assert.deepEqual(
    containers.rows.map(({ image, verifiedDigest, signatures, privileges, result }) => ({
      image,
      verifiedDigest,
      signatures,
      privileges,
      result,
    })),
    [
      {
        image: 'good',
        verifiedDigest: 'sha256:aa',
        signatures: ['key tenant'],
        privileges: [],
        result: 'OK',
      },
      {
        image: 'evil',
        verifiedDigest: undefined,
        signatures: [],
        privileges: ['CAP_SYS_ADMIN'],
        result: 'OK',
      },
      { image: 'good', verifiedDigest: undefined, signatures: [], privileges: [], result: 'ALREADY_EXISTS' },
    ],
  );
});

test('an exec that a check of the guest denies is one row, with its command', () => {
  const { execs } = activityOf([
    {
      kind: 'intent',
      ...caller,
      method: 'ExecProcess',
      decision: allow,
      digest: '',
      subject: { containerId: 'c1', argv0: 'rm' },
    },
    {
      kind: 'outcome',
      ...caller,
      method: 'ExecProcess',
      intent: 1,
      subject: { containerId: 'c1' },
      result: { ...ok, code: 'PERMISSION_DENIED' },
    },
  ]);
  assert.deepEqual(
    execs.rows.map(({ command, calls, denied }) => ({ words: command.words, calls, denied })),
    [{ words: ['rm'], calls: 1, denied: 1 }],
  );
});

test('served calls that a rule would have denied, which only records, are counted apart', () => {
  const { denied, wouldDeny, recordedOnly } = activityOf([
    {
      kind: 'call',
      ...caller,
      method: 'StatsContainer',
      decision: { ...allow, rule: 'no-stats', reason: 'rule "no-stats" is only recorded' },
      digest: '',
      result: ok,
    },
  ]);
  assert.deepEqual({ denied, wouldDeny }, { denied: 0, wouldDeny: 1 });
  assert.deepEqual(
    recordedOnly.rows.map(({ rule, count }) => ({ rule, count })),
    [{ rule: 'no-stats', count: 1 }],
  );
});

test('starts are counted whatever their number, and records before the first one', () => {
  const boot = (digest: string): RecordBody => ({ kind: 'boot', facts: { digest } });
  const { starts } = activityOf([
    { kind: 'heartbeat' },
    ...Array.from({ length: 60 }, () => boot('d')),
    boot('another'),
    ...Array.from({ length: 40 }, (_, n) => boot(`d${n}`)),
  ]);
  assert.deepEqual([starts.count, starts.earlierRecords], [101, 1]);
  assert.deepEqual(starts.configurations.rows.slice(0, 2), [
    { digest: 'd', starts: 60, sequence: 2 },
    { digest: 'another', starts: 1, sequence: 62 },
  ]);
  assert.equal(starts.configurations.beyond, 42 - limits.configurations);
});

test('what rotation has removed is in the activity as the log counts it', () => {
  const position = { sequence: 500, hash: '' };
  const counts = { CreateContainer: { refused: 480, intent: 1, OK: 1 }, SetPolicy: { refused: 20 } };
  const { removed } = activityOf([
    {
      kind: 'rotated',
      segment: { after: position, last: position, counts: {} },
      removed: { after: position, last: position, counts },
    },
  ]);
  assert.deepEqual(removed, {
    last: 500,
    kept: 0,
    methods: {
      rows: [
        { method: 'CreateContainer', records: 482, denied: 480 },
        { method: 'SetPolicy', records: 20, denied: 20 },
      ],
      beyond: 0,
    },
  });
});

test('the log itself: starts, lost records, repairs, removals, silence, a changed clock, and what covers it', () => {
  const position = { sequence: 1, hash: '' };
  const summary = { after: position, last: position, counts: {} };
  const bodies: readonly RecordBody[] = [
    { kind: 'boot', facts: { digest: 'd', version: '1', heartbeatMs: 100 } },
    { kind: 'repaired', cutBytes: 5 },
    { kind: 'lost', count: 3, failure: 'no space' },
    { kind: 'rotated', segment: summary, removed: { ...summary, kept: { records: 2, sha256: '' } } },
    {
      kind: 'outcome',
      ...caller,
      method: 'SetGuestDateTime',
      intent: 1,
      result: { ...ok, clock: { before: 'then', after: 'now' } },
    },
  ];
  const { events, lost, starts } = activityOf(bodies, [3]);
  assert.equal(lost, 3);
  assert.deepEqual(starts.configurations.rows, [{ digest: 'd', starts: 1, sequence: 1 }]);
  const texts = events.rows.filter(({ text }) => !text.startsWith('no record for'));
  assert.deepEqual(
    texts.map(({ kind, text }) => `${kind}: ${text}`),
    [
      'start: the agent started, version 1',
      'repair: a torn last line of 5 bytes was truncated',
      'gap: 3 records were not written: no space',
      'checkpoint: a mark',
      'rotation: rotation has removed records 1 to 1, and kept 2 of them',
      'clock: the clock was set from then to now',
    ],
  );
  assert.equal(events.rows.length - texts.length, 4);
});

test('a silence is between consecutive records of one start, and longer than three heartbeats', () => {
  const events = (heartbeatMs: number): number =>
    activityOf([{ kind: 'boot', facts: { heartbeatMs } }, { kind: 'heartbeat' }]).events.rows.length;
  assert.equal(events(333), 2);
  assert.equal(events(334), 1);
});

test('tables have at most so many rows, and count what is beyond', () => {
  const { peers, denials, denied } = activityOf(
    Array.from(
      { length: 500 },
      (_, n) =>
        ({
          kind: 'refusal',
          listener: 'host',
          peer: `cid ${n}`,
          method: 'ExecProcess',
          digest: '',
          decision: { ...deny, reason: 'x'.repeat(n * 10) },
        }) as const,
    ),
  );
  assert.equal(denied, 500);
  assert.deepEqual([peers.rows.length, peers.beyond], [limits.peers, 500 - limits.peers]);
  assert.deepEqual([denials.rows.length, denials.beyond], [limits.denials, 500 - limits.denials]);
  assert.match(denials.rows.at(-1)?.reason ?? '', /x… \(1390 more characters\)$/);
});
