import { allow } from '@kata-agent/catalogue';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { create, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { factsOf } from '../facts/facts-of.js';
import { compileRule } from './compile/compile-rule.js';
import { CallValues, compileRules } from './rule-book.js';
import { Frame } from './language/compiled.js';
import { ruleLimits } from './language/limits.js';
import { ruleNames } from './names/rule-names.js';
import { context, rule } from './rules.test.fixture.js';

// The request of containerd and Kata for a web server with 40 variables, 30 mounts and the default seccomp profile.
const golden = new URL('../../src/rules/golden/create-container.json', import.meta.url);
const request = fromJson(CreateContainerRequestSchema, JSON.parse(readFileSync(golden, 'utf8')) as JsonValue);

function asked(expression: string): string {
  const allowed = allow('host', 'CreateContainer', 'listed');
  return compileRules([rule(expression, ['CreateContainer'])]).decide(allowed, request, context).reason;
}

test('the sample request has a realistic size', () => {
  assert.equal(Math.round(toBinary(CreateContainerRequestSchema, request).length / 1_000), 22);
});

test('rules can read every part of a real request', () => {
  for (const expression of [
    'args == ["/usr/local/bin/node", "--enable-source-maps", "server.js"] && cwd == "/srv/shop" && !terminal',
    'env.size() == 40 && env.NODE_ENV == "production" && env.all(name, name.matches("^[A-Z0-9_]+$"))',
    'user.UID == 1000 && user.AdditionalGids == [1000u] && 1000 in user.AdditionalGids',
    'capabilities.size() == 14 && capabilities.all(name, name.startsWith("CAP_"))',
    'mounts.size() == 30 && mounts.filter(m, m.type == "bind").all(m, m.source.within("/run/kata-containers"))',
    'mounts.exists_one(m, m.destination == "/proc" && "nosuid" in m.options)',
    'request.OCI.Annotations["io.kubernetes.cri.container-type"] == "container"',
    'request.OCI.Linux.Namespaces.map(n, n.Type) == ["ipc", "uts", "mount", "pid"]',
    'request.OCI.Linux.Seccomp.Syscalls[0].Names.size() > 300 && "openat" in request.OCI.Linux.Seccomp.Syscalls[0].Names',
    'request.OCI.Linux.Resources.Memory.Limit == 536870912 && request.OCI.Linux.Resources.CPU.Shares == 512u',
    'request.OCI.Process.OOMScoreAdj == 994 && request.OCI.Root.Readonly && !has(request.OCI.Hooks)',
    'request.storages.all(s, s.driver == "local" && s.options == ["mode=0777"] && !s.shared)',
  ])
    assert.equal(asked(expression), 'listed', expression);
});

test('the examples of all names stay far below the budget on a real request', () => {
  for (const { name, methods, example } of ruleNames) {
    if (!methods.includes('CreateContainer')) continue;
    const { plans, faults } = compileRule({ expression: example, methods: ['CreateContainer'] });
    assert.deepEqual(faults, [], name);
    const plan = plans.get('CreateContainer');
    assert.ok(plan);
    const values = new CallValues(request, context);
    const frame = new Frame(plan.slots, ruleLimits.steps);
    for (const input of plan.inputs) frame.slots[input.slot] = values.get(input.name);
    frame.spend(plan.weight);
    plan.run(frame);
    assert.ok(frame.spent < ruleLimits.steps / 100, `${name}: ${frame.spent}`);
  }
});

test('its audit record contains no value of its environment', () => {
  const facts = factsOf('CreateContainer', request);
  assert.equal(facts.environment?.length, 40);
  assert.equal(facts.mounts?.length, 30);
  assert.equal(facts.image, 'registry.example.com/shop/web:2.14.1');
  const text = JSON.stringify(facts);
  for (const secret of ['postgres://', 'BEGIN CERTIFICATE', 'production'])
    assert.ok(!text.includes(secret), secret);
  assert.deepEqual(factsOf('CreateContainer', create(CreateContainerRequestSchema)), {
    mounts: [],
    storages: [],
    devices: [],
  });
});
