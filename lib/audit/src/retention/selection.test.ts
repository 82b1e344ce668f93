import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { genesis, seal } from '../chain/chain.js';
import type { AuditRecord, RecordBody } from '../record/record.js';
import { type Present, type PresentContainer, subjectsOf } from './present.js';
import { Selection } from './selection.js';

const caller = { listener: 'host', peer: 'cid 2' };
const decision = { outcome: 'allow', reason: 'in "allowed_endpoints"' } as const;

function intent(method: string, containerId: string): RecordBody {
  return { kind: 'intent', ...caller, method, decision, digest: 'd', subject: { containerId } };
}

function outcome(intentOf: number, method: string, code: string): RecordBody {
  return { kind: 'outcome', intent: intentOf, ...caller, method, result: { code, durationUs: 1 } };
}

/** Builds the lines of a log; `boot` for each line, or one for all. */
function linesOf(bodies: readonly RecordBody[], boot = 'boot-1', after = genesis): Buffer[] {
  let at = after;
  return bodies.map((body) => {
    const { line, position } = seal(body, at, { boot, monotonic: 1n, wall: 'w' });
    at = position;
    return Buffer.from(line.slice(0, -1), 'latin1');
  });
}

function chosen(lines: readonly Buffer[], budget: number): AuditRecord[] {
  const selection = new Selection(budget);
  for (const line of lines) selection.add(line);
  return selection.lines().map((line) => JSON.parse(line.toString()) as AuditRecord);
}

/** A call that changes something: its intent with this sequence number, and its outcome. */
function pair(sequence: number, method: string, containerId: string, code = 'OK'): RecordBody[] {
  return [intent(method, containerId), outcome(sequence, method, code)];
}

test('keeps boots, creates, execs, policies, connections and denials; drops reads, counts and rotations', () => {
  const bodies: RecordBody[] = [
    { kind: 'boot', facts: {} },
    ...pair(2, 'CreateSandbox', 's'),
    ...pair(4, 'CreateContainer', 'c'),
    ...pair(6, 'ExecProcess', 'c'),
    ...pair(8, 'SetPolicy', ''),
    ...pair(10, '(connection)', ''),
    { kind: 'refusal', ...caller, method: 'CopyFile', decision, digest: 'd' },
    {
      kind: 'call',
      ...caller,
      method: 'ListRoutes',
      decision,
      digest: 'd',
      result: { code: 'OK', durationUs: 1 },
    },
    { kind: 'fold', of: 'refusal', ...caller, method: 'CopyFile', decision, since: 1, count: 9 },
    { kind: 'rotated', segment: { after: genesis, last: genesis, counts: {} } },
  ];
  const kept = chosen(linesOf(bodies), 1 << 20);
  assert.deepEqual(
    kept.map(({ sequence }) => sequence),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  );
});

for (const [flood, code] of [
  ['CreateContainer', 'OK'],
  ['CreateContainer', 'INVALID_ARGUMENT'],
  ['ExecProcess', 'OK'],
  ['SignalProcess', 'OK'],
] as const) {
  test(`a flood of ${flood} calls with result ${code} displaces only its own class, and never the first`, () => {
    const bodies: RecordBody[] = [
      { kind: 'boot', facts: { version: '1' } },
      ...pair(2, 'CreateSandbox', 's'),
      ...pair(4, 'CreateContainer', 'first'),
      ...pair(6, 'ExecProcess', 'first'),
      ...pair(8, 'SetPolicy', ''),
      ...pair(10, 'UpdateRoutes', ''),
    ];
    for (let n = 0; n < 5000; n += 1) bodies.push(...pair(bodies.length + 1, flood, `flood-${n}`, code));
    const kept = chosen(linesOf(bodies), 64 * 1024);
    const sequences = kept.map(({ sequence }) => sequence);
    assert.deepEqual(sequences.slice(0, 11), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert.equal(sequences.at(-1), bodies.length, 'the last of the flood stays as well');
    const size = kept.reduce((sum, record) => sum + JSON.stringify(record).length, 0);
    assert.ok(size < 64 * 1024 + 4096, String(size));
  });
}

test('a CopyFile stays when thousands of files of other directories follow, and each directory has its first and last', () => {
  const copy = (path: string): RecordBody => ({
    kind: 'intent',
    ...caller,
    method: 'CopyFile',
    decision,
    digest: 'd',
    request: { file: { path, mode: '100644', size: '1', owner: '0:0' } },
  });
  const paths = [
    ...Array.from({ length: 100 }, (_, index) => `/shared/early/f${index}`),
    '/shared/config/hosts',
    ...Array.from({ length: 2_500 }, (_, index) => `/shared/flood/f${index}`),
  ];
  const bodies = paths.flatMap((path, index) => [copy(path), outcome(2 * index + 1, 'CopyFile', 'OK')]);
  const kept = chosen(linesOf(bodies), 256 * 1024).flatMap((record) =>
    record.kind === 'intent' ? [record.request?.file?.path] : [],
  );
  for (const path of [
    '/shared/early/f0',
    '/shared/early/f99',
    '/shared/config/hosts',
    '/shared/flood/f0',
    '/shared/flood/f2499',
  ])
    assert.ok(kept.includes(path), path);
  assert.ok(kept.length < 200, `${kept.length} records`);
});

test('each boot has its share: creates of one do not displace those of another', () => {
  let at = genesis;
  const lines: Buffer[] = [];
  for (let boot = 0; boot < 12; boot += 1) {
    const bodies: RecordBody[] = [{ kind: 'boot', facts: { boot } }];
    const count = boot === 3 ? 3000 : 2;
    for (let n = 0; n < count; n += 1)
      bodies.push(...pair(at.sequence + bodies.length + 1, 'CreateContainer', `c${n}`));
    const more = linesOf(bodies, `boot-${boot}`, at);
    lines.push(...more);
    const { sequence, hash } = JSON.parse(more.at(-1)?.toString() ?? '') as AuditRecord;
    at = { sequence, hash };
  }
  const kept = chosen(lines, 256 * 1024);
  for (let boot = 0; boot < 12; boot += 1) {
    const own = kept.filter((record) => record.boot === `boot-${boot}`);
    assert.ok(
      own.some(({ kind }) => kind === 'boot'),
      `boot ${boot}`,
    );
    assert.ok(own.filter(({ kind }) => kind === 'intent').length >= 2, `creates of boot ${boot}`);
  }
});

for (const [kind, bodiesOf] of [
  ['CreateContainer', (at: number) => pair(at, 'CreateContainer', 'c')],
  ['ReseedRandomDev', (at: number) => pair(at, 'ReseedRandomDev', 'c')],
  ['failed', (at: number) => pair(at, 'ReseedRandomDev', 'c', 'INTERNAL')],
  ['failed, of many methods', (at: number) => pair(at, `Method${at % 60}`, 'c', 'INTERNAL')],
  ['refusal', () => [{ kind: 'refusal', ...caller, method: 'CopyFile', decision, digest: 'd' }]],
] satisfies [string, (at: number) => RecordBody[]][]) {
  test(`a flood at one listener displaces no record of another: ${kind}`, () => {
    const bodies: RecordBody[] = [{ kind: 'boot', facts: {} }];
    const add = (listener: string, count: number): void => {
      for (let n = 0; n < count; n += 1)
        for (const body of bodiesOf(bodies.length + 1)) bodies.push({ ...body, listener } as RecordBody);
    };
    add('tenant', 1000);
    add('host', 2);
    add('tenant', 3000);
    const ofHost = bodies.flatMap((body, index) =>
      'listener' in body && body.listener === 'host' ? [index + 1] : [],
    );
    const kept = keptOf(bodies, present([]));
    assert.deepEqual(
      ofHost.filter((sequence) => kept.has(sequence)),
      ofHost,
    );
  });
}

test('of very many boots the first and the newest are kept', () => {
  let at = genesis;
  const lines: Buffer[] = [];
  for (let boot = 0; boot < 400; boot += 1) {
    const [line = Buffer.alloc(0)] = linesOf(
      [{ kind: 'boot', facts: { text: 'x'.repeat(300) } }],
      `b${boot}`,
      at,
    );
    lines.push(line);
    const { sequence, hash } = JSON.parse(line.toString()) as AuditRecord;
    at = { sequence, hash };
  }
  const boots = chosen(lines, 64 * 1024).map(({ boot }) => boot);
  assert.equal(boots[0], 'b0');
  assert.equal(boots.at(-1), 'b399');
  assert.ok(boots.length < 12);
});

function present(made: Iterable<PresentContainer>, underWay: readonly number[] = []): Present {
  return { boot: 'boot-1', underWay: new Set(underWay), subjects: subjectsOf(made) };
}

/** Surrounds the records under test with more creates than there is space for, before and after. */
function amid(middle: (sequence: number) => RecordBody[]): RecordBody[] {
  const bodies: RecordBody[] = [{ kind: 'boot', facts: {} }];
  const flood = (): void => {
    for (let n = 0; n < 500; n += 1) bodies.push(...pair(bodies.length + 1, 'CreateContainer', `flood-${n}`));
  };
  flood();
  bodies.push(...middle(bodies.length + 1));
  flood();
  return bodies;
}

function keptOf(bodies: readonly RecordBody[], there: Present, boot?: string): Set<number> {
  const selection = new Selection(64 * 1024, there);
  for (const line of linesOf(bodies, boot)) selection.add(line);
  return new Set(selection.lines().map((line) => (JSON.parse(line.toString()) as AuditRecord).sequence));
}

test('the create of an existing container is kept with its outcome; that of a removed one is not', () => {
  const bodies = amid((at) => [
    ...pair(at, 'CreateContainer', 'there'),
    ...pair(at + 2, 'CreateContainer', 'gone'),
  ]);
  const kept = keptOf(bodies, present([{ containerId: 'there', execIds: [] }]));
  assert.deepEqual(
    [1002, 1003, 1004, 1005].map((sequence) => kept.has(sequence)),
    [true, true, false, false],
  );
});

test('for a reused id the last create counts; failed attempts do not', () => {
  const bodies = amid((at) => [
    ...pair(at, 'CreateContainer', 'there'),
    ...pair(at + 2, 'CreateContainer', 'there'),
    ...pair(at + 4, 'CreateContainer', 'there', 'ALREADY_EXISTS'),
    // Its outcome is in a segment that is kept.
    intent('CreateContainer', 'there'),
  ]);
  const kept = keptOf(bodies, present([{ containerId: 'there', execIds: [] }]));
  assert.deepEqual(
    [1002, 1004, 1008].map((sequence) => kept.has(sequence)),
    [false, true, true],
  );
});

test('of overlapping creates of one id the one that succeeded last counts, and one whose outcome is not written yet', () => {
  const overlapping = amid((at) => [
    intent('CreateContainer', 'there'),
    ...pair(at + 1, 'CreateContainer', 'there'),
    ...pair(at + 3, 'RemoveContainer', 'there'),
    outcome(at, 'CreateContainer', 'OK'),
  ]);
  const unwritten = amid((at) => [
    intent('CreateContainer', 'there'),
    ...pair(at + 1, 'CreateContainer', 'there'),
  ]);
  for (const bodies of [overlapping, unwritten])
    assert.ok(keptOf(bodies, present([{ containerId: 'there', execIds: [] }])).has(1002));
});

test('a container of an earlier boot does not exist, whatever its name', () => {
  const bodies = amid((at) => pair(at, 'CreateContainer', 'there'));
  const there = present([{ containerId: 'there', execIds: [] }]);
  assert.ok(!keptOf(bodies, there, 'boot-0').has(1002));
});

test('a call in progress is kept', () => {
  const bodies = amid(() => [intent('CreateContainer', 'not yet there')]);
  assert.ok(keptOf(bodies, present([], [1002])).has(1002));
  assert.ok(!keptOf(bodies, present([])).has(1002));
});

test('of watches in progress only a share is kept, the first and the last', () => {
  const bodies = [...Array(2000).keys()].map(() => intent('WatchAudit', ''));
  const inProgress = bodies.map((_, index) => index + 1);
  const kept = [...keptOf(bodies, present([], inProgress))];
  assert.ok(kept.length < 20, `${kept.length}`);
  assert.deepEqual([kept[0], kept.at(-1)], [1, 2000]);
});

test('when space is short the longest records are dropped first, so padding displaces nothing', () => {
  const bodies: RecordBody[] = [{ kind: 'boot', facts: {} }];
  for (let n = 0; n < 60; n += 1)
    bodies.push(...pair(bodies.length + 1, 'CreateContainer', n % 2 === 0 ? 'x'.repeat(6000) : 'short'));
  const kept = keptOf(bodies, present([]));
  const short = bodies.flatMap((body, index) =>
    body.kind === 'intent' && body.subject?.containerId === 'short' ? [index + 1] : [],
  );
  assert.ok(short.filter((sequence) => kept.has(sequence)).length > 8);
});

test('an intent and its outcome are kept or dropped together, even after repeated selection', () => {
  const methods = fc.constantFrom(
    'CreateContainer',
    'ExecProcess',
    'SignalProcess',
    'UpdateRoutes',
    'SetPolicy',
  );
  const calls = fc.array(fc.tuple(methods, fc.constantFrom('OK', 'INTERNAL'), fc.nat(300)), {
    minLength: 1,
    maxLength: 120,
  });
  fc.assert(
    fc.property(calls, fc.integer({ min: 4096, max: 40_000 }), (calls, budget) => {
      const bodies: RecordBody[] = [{ kind: 'boot', facts: {} }];
      for (const [method, code, size] of calls)
        bodies.push(...pair(bodies.length + 1, method, 'x'.repeat(size), code));
      const lines = linesOf(bodies);
      const once = new Selection(budget);
      for (const line of lines.slice(0, 60)) once.add(line);
      const twice = new Selection(budget);
      for (const line of [...once.lines(), ...lines.slice(60)]) twice.add(line);
      const kept = twice.lines().map((line) => JSON.parse(line.toString()) as AuditRecord);
      assert.equal(kept[0]?.kind, 'boot');
      const intents = new Set(kept.flatMap((record) => (record.kind === 'intent' ? [record.sequence] : [])));
      for (const record of kept) if (record.kind === 'outcome') assert.ok(intents.has(record.intent));
      const [[method, code]] = calls as [[string, string, number]];
      const isFirst = (record: AuditRecord): boolean => record.kind === 'intent' && record.sequence === 2;
      if (code === 'OK') assert.ok(kept.some(isFirst), method);
      const sequences = kept.map(({ sequence }) => sequence);
      assert.deepEqual(
        sequences,
        sequences.toSorted((a, b) => a - b),
      );
    }),
  );
});
