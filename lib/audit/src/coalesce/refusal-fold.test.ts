import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RecordBody } from '../record/record.js';
import { RefusalFold } from './refusal-fold.js';
import { denied, sampleCall } from '../testing/sample.js';

type Fold = Extract<RecordBody, { kind: 'fold' }>;

const window = 10_000_000_000n;

class Sample {
  readonly emitted: Fold[] = [];
  now = 0n;
  written = 0;
  readonly fold: RefusalFold = new RefusalFold(
    (body) => {
      if (body.kind === 'fold') this.emitted.push(body);
    },
    () => this.now,
  );

  refuse(peer: string, method: string, rule?: string, listener = 'host'): boolean {
    const decision = rule === undefined ? denied : { ...denied, rule };
    const counted = this.fold.count(sampleCall({ listener, peer, method }), decision);
    if (!counted) this.written += 1;
    return counted;
  }

  get counted(): number {
    return this.emitted.reduce((sum, { count }) => sum + count, 0);
  }
}

test('the first of identical denials is written; the rest are counted per window', () => {
  const sample = new Sample();
  for (let n = 0; n < 1000; n += 1) sample.refuse('p', 'CopyFile');
  assert.equal(sample.written, 1);
  sample.fold.tick();
  assert.deepEqual(
    sample.emitted.map(({ peer, method, of, count }) => [peer, method, of, count]),
    [['p', 'CopyFile', 'refusal', 999]],
  );
  sample.fold.tick();
  assert.equal(sample.fold.size, 0);
  assert.equal(sample.refuse('p', 'CopyFile'), false);
});

test('a denial with another peer, method, rule or listener is not identical', () => {
  const sample = new Sample();
  assert.equal(sample.refuse('p', 'A'), false);
  assert.equal(sample.refuse('q', 'A'), false);
  assert.equal(sample.refuse('p', 'B'), false);
  assert.equal(sample.refuse('p', 'A', 'rule'), false);
  assert.equal(sample.refuse('p', 'A', undefined, 'tenant'), false);
  assert.equal(sample.refuse('p', 'A'), true);
});

test('denials for two operators of one peer are not identical, and their number is bounded as that of peers', () => {
  const sample = new Sample();
  const peer = `https realm.example spki:sha256:${'a'.repeat(64)} ${'x'.repeat(200)}`;
  const refuse = (claimedOperator: string): boolean =>
    sample.fold.count(sampleCall({ peer, method: 'A', claimedOperator }), denied);
  const long = 'n'.repeat(200);
  for (const operator of ['alice', 'bob', `${long}1`, `${long}2`]) assert.equal(refuse(operator), false);
  for (const operator of ['alice', 'bob', `${long}1`, `${long}2`]) assert.equal(refuse(operator), true);
  for (let other = 0; other < 100; other += 1) refuse(`other ${other}`);
  sample.fold.tick();
  assert.deepEqual(
    sample.emitted.slice(0, 4).map(({ claimedOperator, count }) => [claimedOperator, count]),
    [
      ['alice', 1],
      ['bob', 1],
      [`${long}1`, 1],
      [`${long}2`, 1],
    ],
  );
  const others = sample.emitted.find((fold) => fold.peer === '*');
  assert.equal(others?.count, 100 - 12);
  assert.equal(others.claimedOperator, undefined);
});

test('refused connections are identical when code and reason are, whatever the detail after its colon', () => {
  const sample = new Sample();
  const refuse = (code: 'KA3202' | 'KA3203', reason: string): boolean => {
    const call = sampleCall({ peer: 'p', method: '(connection)' });
    return sample.fold.count(call, { ...denied, outcome: 'deny', code, reason });
  };
  assert.equal(refuse('KA3203', 'the client does not use TLS'), false);
  assert.equal(refuse('KA3203', 'no CA has signed it: CODE 0'), false);
  assert.equal(refuse('KA3202', 'the client does not use TLS'), false);
  for (let n = 1; n <= 1000; n += 1) assert.equal(refuse('KA3203', `no CA has signed it: CODE ${n}`), true);
  assert.equal(refuse('KA3203', 'the client does not use TLS'), true);
  sample.fold.tick();
  assert.deepEqual(
    sample.emitted.map(({ decision, count }) => [decision.code, decision.reason, count]),
    [
      ['KA3203', 'the client does not use TLS', 1],
      ['KA3203', 'no CA has signed it', 1000],
    ],
  );
});

test('peers beyond 16 are counted together per method', () => {
  const sample = new Sample();
  for (let n = 0; n < 1000; n += 1) sample.refuse(`p${n}`, 'CopyFile');
  assert.equal(sample.written, 16);
  assert.equal(sample.refuse('p3', 'CopyFile'), true);
  sample.fold.tick();
  assert.deepEqual(
    sample.emitted.map(({ peer, count }) => [peer, count]),
    [
      ['p3', 1],
      ['*', 984],
    ],
  );
  sample.fold.tick();
  assert.equal(sample.fold.size, 0);
});

test('a flood at one listener leaves the denials at another recorded each by itself', () => {
  const sample = new Sample();
  for (let n = 0; n < 100_000; n += 1) sample.refuse('p', `m${n}`, undefined, 'tenant');
  assert.equal(sample.written, 257);
  for (const method of ['ExecProcess', 'CopyFile', 'SetPolicy'])
    assert.equal(sample.refuse('q', method, undefined, 'host'), false, method);
  assert.equal(sample.refuse('q', 'ExecProcess', undefined, 'host'), true);
  sample.fold.tick();
  const host = sample.emitted.filter(({ listener }) => listener === 'host');
  assert.deepEqual(
    host.map(({ peer, method, count }) => [peer, method, count]),
    [['q', 'ExecProcess', 1]],
  );
});

test('a flood of methods costs 256 records and one for the rest', () => {
  const sample = new Sample();
  for (let n = 0; n < 100_000; n += 1) sample.refuse('p', `m${n}`);
  assert.equal(sample.written, 257);
  sample.fold.tick();
  assert.deepEqual(
    sample.emitted.map(({ method, peer, count }) => [method, peer, count]),
    [['*', '*', 100_000 - 257]],
  );
});

test('runs without a token at the end of their window are merged and end', () => {
  const sample = new Sample();
  const flood = (): void => {
    for (let n = 0; n < 256; n += 1) sample.refuse('p', `m${n}`);
  };
  flood();
  flood();
  sample.now += window;
  sample.fold.tick();
  assert.equal(sample.written + sample.counted, 512);
  assert.deepEqual(sample.emitted.map(({ method }) => method).slice(-2), ['m9', '*']);
  assert.equal(sample.emitted.at(-1)?.count, 246);
});

test('any long flood costs at most one record per second at each listener, and every denial is counted', () => {
  const step = fc.record({
    peer: fc.nat(400),
    method: fc.nat(400),
    listener: fc.nat(1),
    ms: fc.nat(500),
  });
  const property = fc.property(fc.array(step, { minLength: 1500, maxLength: 3000 }), (steps) => {
    const sample = new Sample();
    let tickAt = window;
    for (const { peer, method, listener, ms } of steps) {
      sample.now += BigInt(ms) * 1_000_000n;
      if (sample.now >= tickAt) {
        sample.fold.tick();
        tickAt = sample.now + window;
      }
      sample.refuse(`p${peer}`, `m${method}`, undefined, `l${listener}`);
      assert.ok(sample.fold.size <= 1024);
    }
    sample.fold.tick();
    sample.fold.tick();
    assert.equal(sample.written + sample.counted, steps.length);
    const seconds = Number(sample.now / 1_000_000_000n);
    const perListener = 2 * 2 * (seconds / 10 + 2);
    assert.ok(sample.written + sample.emitted.length <= 2 * (256 + seconds) + perListener);
  });
  fc.assert(property, { numRuns: 20 });
});
