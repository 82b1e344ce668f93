import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestFacts } from '@kata-agent/catalogue';
import { only, openSample, recordsOf, sampleCall, allowed, denied, ok } from '../testing/sample.js';
import { recordedFacts } from './recorded-request.js';

/** Every member: a new one does not compile until it is added here. */
const facts: Required<RequestFacts> = {
  command: '/bin/healthcheck',
  arguments: ['/bin/healthcheck', '-q'],
  environment: ['HOME', 'PATH'],
  cwd: '/',
  user: '0:0',
  terminal: false,
  capabilities: ['CAP_KILL'],
  mounts: [{ type: 'bind', source: '/run/kata-containers/shared/x', destination: '/data' }],
  storages: [{ driver: 'ephemeral', type: 'tmpfs', mountPoint: '/run/kata-containers/sandbox/shm' }],
  devices: [{ type: 'c', path: '/dev/null' }],
  image: 'registry.example/app:1',
  path: '/run/kata-containers/shared/containers/x',
  signal: 15,
};

test('facts are written unchanged', () => {
  assert.deepEqual(recordedFacts(facts), facts);
});

test('facts of a huge request are cut and marked', () => {
  const huge = recordedFacts({
    command: 'c'.repeat(100_000),
    environment: Array.from({ length: 20_000 }, (_, index) => `NAME_${index}`),
    mounts: [{ type: 'bind', source: 's'.repeat(4_000_000), destination: '/d' }],
    signal: 9,
  });
  assert.ok(JSON.stringify(huge).length < 40_000);
  assert.equal(huge.cut, true);
  assert.equal(huge.environment?.[0], 'NAME_0');
  assert.equal(huge.signal, 9);
});

test('a log with facts has them in intents, calls and denials; one without has none', async (t) => {
  const { log, file } = await openSample(t);
  const call = sampleCall({ facts });
  log.outcome(await log.intent(call, allowed), call, ok);
  log.observe(call, allowed, ok);
  log.refuse(call, { ...denied, rule: 'no-exec' });
  await log.intent(sampleCall(), allowed);
  await log.flush();
  const records = recordsOf(file);
  const [withFacts, without] = only(records, 'intent');
  assert.deepEqual(withFacts?.facts, facts);
  assert.equal(without?.facts, undefined);
  assert.deepEqual(only(records, 'call')[0]?.facts, facts);
  assert.deepEqual(only(records, 'refusal')[0]?.facts, facts);
});
