import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { AuditedCall } from '../audit-log.js';
import type { PresentContainer } from './present.js';
import { allowed, denied, ok, openSample, recordsIn, sampleCall } from '../testing/sample.js';
import { verify } from '../read/verify.js';

/** Makes a record as long as a request can make it. */
const padding = Array.from({ length: 40 }, (_, index) => ({
  type: 'tmpfs',
  source: '€'.repeat(512),
  destination: `/${index}`,
}));

interface Process {
  readonly execId: string;
  readonly intent: number;
}

/** A hostile host, and the containers and processes that exist after its calls. */
class HostileHost {
  readonly containers = new Map<string, { readonly intent: number; readonly execs: Map<string, Process> }>();
  readonly #underWay: (() => void)[] = [];
  readonly #log: Awaited<ReturnType<typeof openSample>>['log'];
  readonly #pass: (ms: number) => void;

  constructor(log: HostileHost['log'], pass: (ms: number) => void) {
    this.#log = log;
    this.#pass = pass;
  }

  get log(): Awaited<ReturnType<typeof openSample>>['log'] {
    return this.#log;
  }

  get present(): readonly PresentContainer[] {
    return Array.from(this.containers, ([containerId, { execs }]) => ({
      containerId,
      execIds: execs.keys(),
    }));
  }

  async create(containerId: string, padded: boolean, late: boolean): Promise<void> {
    const call = this.#call('CreateContainer', { containerId, execId: '' }, padded);
    const intent = await this.#log.intent(call, allowed);
    const end = (): void => {
      const exists = this.containers.has(containerId);
      if (!exists) this.containers.set(containerId, { intent, execs: new Map() });
      this.#log.outcome(intent, call, { ...ok, code: exists ? 'ALREADY_EXISTS' : 'OK' });
    };
    if (late) this.#underWay.push(end);
    else end();
  }

  async exec(containerId: string, execId: string, padded: boolean): Promise<void> {
    const call = this.#call('ExecProcess', { containerId, execId }, padded);
    const intent = await this.#log.intent(call, allowed);
    const execs = this.containers.get(containerId)?.execs;
    const fails = execs === undefined || execs.has(execId);
    if (!fails) execs.set(execId, { execId, intent });
    this.#log.outcome(intent, call, { ...ok, code: fails ? 'INVALID_ARGUMENT' : 'OK' });
  }

  async remove(containerId: string): Promise<void> {
    const call = this.#call('RemoveContainer', { containerId }, false);
    const intent = await this.#log.intent(call, allowed);
    this.#log.outcome(intent, call, {
      ...ok,
      code: this.containers.delete(containerId) ? 'OK' : 'NOT_FOUND',
    });
  }

  /** The process has ended and was waited for. */
  forget(containerId: string, execId: string): void {
    this.containers.get(containerId)?.execs.delete(execId);
  }

  finish(): void {
    for (const end of this.#underWay.splice(0)) end();
  }

  /** Makes other calls, fifty at a time. */
  async flood(method: string, kind: 'change' | 'refuse' | 'look', count: number): Promise<void> {
    const one = async (n: number): Promise<void> => {
      const call = sampleCall({ method, peer: `cid ${n % 30}`, subject: { containerId: `flood-${n}` } });
      if (kind === 'refuse') this.#log.refuse(call, denied);
      else if (kind === 'look')
        this.#log.observe(call, allowed, { ...ok, code: n % 2 === 0 ? 'OK' : 'NOT_FOUND' });
      else this.#log.outcome(await this.#log.intent(call, allowed), call, ok);
    };
    for (let n = 0; n < count; n += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => one(n + index)));
      this.#pass(1000);
    }
  }

  #call(method: string, subject: AuditedCall['subject'], padded: boolean): AuditedCall {
    return sampleCall({ method, subject, ...(padded && { request: { mounts: padding } }) });
  }
}

const name = fc.integer({ min: 0, max: 9 }).map((n) => `c${n}`);
const execName = fc.integer({ min: 0, max: 3 }).map((n) => `e${n}`);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constant('create'), name, execName, fc.boolean(), fc.integer({ max: 2, min: 0 })),
  },
  { weight: 4, arbitrary: fc.tuple(fc.constant('exec'), name, execName, fc.boolean(), fc.constant(0)) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constant('churn'), name, execName, fc.boolean(), fc.integer({ min: 5, max: 20 })),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant('remove'), name, execName, fc.boolean(), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('forget'), name, execName, fc.boolean(), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('finish'), name, execName, fc.boolean(), fc.constant(0)) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('flood'),
      name,
      execName,
      fc.boolean(),
      fc.integer({ min: 50, max: 300 }),
    ),
  },
);

async function take(
  host: HostileHost,
  [what, id, exec, flag, count]: [string, string, string, boolean, number],
): Promise<void> {
  switch (what) {
    case 'create':
      return host.create(id, flag, count === 0);
    case 'exec':
      return host.exec(id, exec, flag);
    case 'churn':
      for (let n = 0; n < count; n += 1) {
        await host.create(`churn-${n}`, flag, false);
        await host.exec(`churn-${n}`, exec, flag);
        await host.remove(`churn-${n}`);
      }
      return undefined;
    case 'remove':
      return host.remove(id);
    case 'forget':
      return host.forget(id, exec);
    case 'finish':
      return host.finish();
    default:
      await host.flood('SignalProcess', flag ? 'change' : 'look', count);
      return host.flood('CopyFile', flag ? 'refuse' : 'change', count);
  }
}

test('whatever the host does, boot and the create and exec of existing containers stay in the log, and it verifies', async (t) => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
    let host: HostileHost | undefined;
    const present = (): readonly PresentContainer[] | undefined => host?.present;
    const { log, file, clock } = await openSample(t, { maxSize: 64 * 1024, keep: 1, present });
    await log.boot({ version: '1' });
    host = new HostileHost(log, (ms) => clock.pass(ms));
    for (const one of steps) await take(host, one);
    host.finish();
    await host.flood('SignalProcess', 'change', 600);
    await log.close();

    assert.deepEqual((await verify(file)).problems, []);
    const records = await recordsIn(file);
    assert.equal(records[0]?.kind, 'boot');
    const intents = new Set(records.flatMap((record) => (record.kind === 'intent' ? [record.sequence] : [])));
    const ended = new Set(records.flatMap((record) => (record.kind === 'outcome' ? [record.intent] : [])));
    for (const [id, { intent, execs }] of host.containers) {
      for (const [what, sequence] of [
        [id, intent],
        ...Array.from(execs.values(), (e) => [e.execId, e.intent]),
      ] as [string, number][]) {
        assert.ok(intents.has(sequence), `${id} ${what}: intent ${sequence}`);
        assert.ok(ended.has(sequence), `${id} ${what}: outcome of ${sequence}`);
      }
    }
  });
  await fc.assert(property, { numRuns: 10 });
});

test('a file of kept records has a size limit, plus space for existing containers', async (t) => {
  const there = Array.from({ length: 64 }, (_, n) => ({ containerId: `there-${n}`, execIds: ['e'] }));
  const { log, file, clock } = await openSample(t, { maxSize: 64 * 1024, keep: 1, present: () => there });
  const host = new HostileHost(log, (ms) => clock.pass(ms));
  await log.boot({});
  for (const { containerId } of there) {
    await host.create(containerId, true, false);
    await host.exec(containerId, 'e', true);
  }
  for (let n = 0; n < 300; n += 1) {
    await host.create(`other-${n}`, true, false);
    await host.remove(`other-${n}`);
  }
  await log.close();
  const records = await recordsIn(file);
  const { kept } = await verify(file);
  const bytes = records.slice(0, kept).reduce((sum, record) => sum + JSON.stringify(record).length, 0);
  // Each of the 128 has an intent of less than 8 KiB, and an outcome of less than 4.
  assert.ok(bytes < 64 * 1024 + 128 * 12 * 1024, String(bytes));
  const made = records.flatMap((r) =>
    r.kind === 'intent' && r.method !== 'RemoveContainer' ? [r.subject?.containerId] : [],
  );
  for (const { containerId } of there)
    assert.equal(made.filter((id) => id === containerId).length, 2, containerId);
});

test('until the existing containers are known, nothing of this boot is removed', async (t) => {
  const { log, file, clock } = await openSample(t, { maxSize: 64 * 1024, keep: 1, present: () => undefined });
  const host = new HostileHost(log, (ms) => clock.pass(ms));
  await log.boot({});
  for (let n = 0; n < 100; n += 1) await host.create(`c${n}`, true, false);
  await log.close();
  const records = await recordsIn(file);
  const made = new Set(records.flatMap((r) => (r.kind === 'intent' ? [r.subject?.containerId] : [])));
  assert.equal(made.size, 100);
});
