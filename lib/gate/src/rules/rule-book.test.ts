import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { allow, deny, methodNames } from '@kata-agent/catalogue';
import {
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
  MemAgentMemcgConfigSchema,
  ReadStreamRequestSchema,
  SignalProcessRequestSchema,
  StartContainerRequestSchema,
} from '@kata-agent/protocol/agent';
import type { Rule } from '@kata-agent/config';
import type { RuleContext } from '../rule-context.js';
import { CompiledRule, createRuleChecker } from './compile/compile-rule.js';
import { compileRules, extendRules } from './rule-book.js';
import { ask, context, fault, rule } from './rules.test.fixture.js';

const exec = (Args: string[], Env: string[] = []) =>
  create(ExecProcessRequestSchema, { containerId: 'c1', process: { Args, Env } });

test('a rule that is true keeps the decision of the lists', () => {
  const allowed = allow('host', 'ExecProcess', 'in allowed_endpoints (a:1)');
  const book = compileRules([rule('args[0] == "a"', ['ExecProcess'])]);
  assert.equal(book.decide(allowed, exec(['a']), context), allowed);
});

test('a rule that is false denies, with its name, place and message', () => {
  const refusing = rule('args[0] == "a"', ['ExecProcess'], { name: 'only-a', message: 'only a' });
  const decided = ask([refusing], 'ExecProcess', exec(['b']));
  assert.deepEqual(decided, {
    outcome: 'deny',
    code: 'KA3101',
    listener: 'host',
    method: 'ExecProcess',
    rule: 'only-a',
    message: 'only a',
    reason: 'rule "only-a" refused it (config.toml:7)',
  });
  assert.ok(Object.isFrozen(decided));
});

test('an evaluation error denies', () => {
  const missing = ask([rule('args[0] == "a"', ['ExecProcess'])], 'ExecProcess', exec([]));
  assert.equal(missing.outcome, 'deny');
  assert.match(missing.reason, /^rule "r" could not be evaluated: index 0 in a list of 0 /);
  const key = ask([rule('env.HOME != ""', ['ExecProcess'])], 'ExecProcess', exec(['a']));
  assert.match(key.reason, /could not be evaluated: the map has no "HOME"/);
  const negated = ask([rule('!(env.HOME == "x")', ['ExecProcess'])], 'ExecProcess', exec(['a']));
  assert.equal(negated.outcome, 'deny');
});

test('the reason of an error contains nothing from the request', () => {
  const secret = exec(['a'], ['A=secret']);
  for (const expression of [
    '{"x": 1}[env.A] == 1',
    'int(env.A) == 1',
    'env[env.A] == ""',
    'args[size(env.A)] == ""',
  ]) {
    const { outcome, reason } = ask([rule(expression, ['ExecProcess'])], 'ExecProcess', secret);
    assert.equal(outcome, 'deny');
    assert.ok(!reason.includes('secret'), reason);
  }
});

test('a call denied by the lists stays denied, and a method without rules is not affected', () => {
  const book = compileRules([rule('false', ['ExecProcess'])]);
  const denied = deny('KA3001', 'host', 'ExecProcess', 'not in allowed_endpoints');
  assert.equal(book.decide(denied, exec(['a']), context), denied);
  const other = allow('host', 'StartContainer', '');
  assert.equal(book.decide(other, create(StartContainerRequestSchema), context), other);
  assert.deepEqual([book.hasRulesFor('ExecProcess'), book.hasRulesFor('StartContainer')], [true, false]);
  assert.equal(compileRules([]).hasRulesFor('constructor'), false);
});

test('enforcement "audit" records what it would deny, and denies nothing', () => {
  const audited = rule('false', ['ExecProcess'], { name: 'trial', enforcement: 'audit', message: 'no' });
  const decided = ask([audited], 'ExecProcess', exec(['a']));
  assert.deepEqual(decided, {
    outcome: 'allow',
    listener: 'host',
    method: 'ExecProcess',
    rule: 'trial',
    reason: 'rule "trial" is only recorded: it refused it (config.toml:7)',
  });
  const enforced = rule('args[0] == "b"', ['ExecProcess'], { name: 'real' });
  assert.equal(ask([audited, enforced], 'ExecProcess', exec(['a'])).rule, 'real');
  assert.equal(ask([enforced, audited], 'ExecProcess', exec(['b'])).rule, 'trial');
  assert.equal(ask([enforced, audited], 'ExecProcess', exec(['b'])).outcome, 'allow');
});

test('a rule can set how a denied read is answered', () => {
  const reads = rule('listener == "tenant"', ['ReadStdout'], { onDeniedRead: 'eof' });
  assert.equal(ask([reads], 'ReadStdout', create(ReadStreamRequestSchema)).onDeniedRead, 'eof');
  const silent = rule('listener == "tenant"', ['ReadStdout']);
  assert.equal('onDeniedRead' in ask([silent], 'ReadStdout', create(ReadStreamRequestSchema)), false);
});

test('all rules of a method must be true; those of other methods are not evaluated', () => {
  const rules = [
    rule('args.size() == 1', ['ExecProcess'], { name: 'one' }),
    rule('args[0] != "sh"', ['ExecProcess', 'CreateContainer'], { name: 'two' }),
    rule('false', ['CreateContainer'], { name: 'three' }),
  ];
  assert.equal(ask(rules, 'ExecProcess', exec(['a'])).outcome, 'allow');
  assert.equal(ask(rules, 'ExecProcess', exec(['a', 'b'])).rule, 'one');
  assert.equal(ask(rules, 'ExecProcess', exec(['sh'])).rule, 'two');
  const created = create(CreateContainerRequestSchema, { OCI: { Process: { Args: ['a'] } } });
  assert.equal(ask(rules, 'CreateContainer', created).rule, 'three');
});

test('an environment with a repeated variable is denied before the rule is evaluated', () => {
  for (const expression of ['true || env.A == "b"', 'has(env.A)', 'has(env)', 'args == [] || env == env']) {
    const twice = ask([rule(expression, ['ExecProcess'])], 'ExecProcess', exec([], ['A=b', 'A=c']));
    assert.match(twice.reason, /could not be evaluated: the environment names "A" twice/, expression);
  }
  assert.equal(
    ask([rule('args == []', ['ExecProcess'])], 'ExecProcess', exec([], ['A=b', 'A=c'])).outcome,
    'allow',
  );
  for (const entry of ['A', '=b', '']) {
    const broken = ask([rule('env == {} || true', ['ExecProcess'])], 'ExecProcess', exec([], [entry]));
    assert.match(broken.reason, /an entry that is not NAME=value/, entry);
  }
  const empty = ask(
    [rule('env == {"A": "", "B": "c=d"}', ['ExecProcess'])],
    'ExecProcess',
    exec([], ['A=', 'B=c=d']),
  );
  assert.equal(empty.outcome, 'allow');
});

test('absent messages read as empty, and has() reports them', () => {
  const bare = create(ExecProcessRequestSchema);
  const rules = (expression: string) => [rule(expression, ['ExecProcess'])];
  for (const expression of [
    'request.process.User.UID == 0 && !has(request.process) && !has(request.process.User)',
    'args == [] && env == {} && cwd == "/" && user.UID == 0 && !terminal && capabilities == []',
    'request.process.Capabilities.Bounding == []',
  ])
    assert.equal(ask(rules(expression), 'ExecProcess', bare).outcome, 'allow', expression);
  assert.equal(ask(rules('has(request.process.Args)'), 'ExecProcess', exec(['a'])).outcome, 'allow');
  const set = create(MemAgentMemcgConfigSchema, { disabled: false });
  const memory = [rule('has(request.disabled) && !has(request.swap) && !request.swap', ['MemAgentMemcgSet'])];
  assert.equal(ask(memory, 'MemAgentMemcgSet', set).outcome, 'allow');
});

test('a map of the request has only its own keys', () => {
  const request = create(CreateContainerRequestSchema, { OCI: { Annotations: { a: 'b' } } });
  const asked = (expression: string) =>
    ask([rule(expression, ['CreateContainer'])], 'CreateContainer', request).outcome;
  assert.equal(asked('"a" in request.OCI.Annotations && request.OCI.Annotations.a == "b"'), 'allow');
  for (const name of ['constructor', '__proto__', 'toString'])
    assert.equal(
      asked(`!("${name}" in request.OCI.Annotations) && !has(request.OCI.Annotations.${name})`),
      'allow',
      name,
    );
});

test('rules see the call besides the request', () => {
  const request = exec(['a']);
  for (const expression of [
    'listener == "host" && peer.kind == "vsock" && peer.cid == 2 && !has(peer.uid)',
    'container.id == request.container_id && container.state == "running"',
    'container.claimed.image == "docker.io/library/nginx:1.27" && container.claimed.annotations.tier == "web"',
    'sandbox.id == "pod" && container.id in sandbox.containers',
  ])
    assert.equal(
      ask([rule(expression, ['ExecProcess'])], 'ExecProcess', request).outcome,
      'allow',
      expression,
    );
  const uid = ask([rule('peer.uid == 0', ['ExecProcess'])], 'ExecProcess', request);
  assert.match(uid.reason, /could not be evaluated: this peer has no uid/);
  const { container: _, ...without } = context;
  const nameless = ask(
    [rule('true || container.id == ""', ['ExecProcess'])],
    'ExecProcess',
    request,
    without,
  );
  assert.match(nameless.reason, /could not be evaluated: the call names no container/);
});

test('a rule for several methods is compiled for each', () => {
  const shared = [rule('!has(args) || args.all(a, a != "sh")', methodNames)];
  assert.equal(ask(shared, 'ExecProcess', exec(['sh'])).outcome, 'deny');
  assert.equal(ask(shared, 'SignalProcess', create(SignalProcessRequestSchema)).outcome, 'allow');
  const request = create(CreateContainerRequestSchema, { OCI: { Process: { Args: ['sh'] } } });
  assert.equal(ask(shared, 'CreateContainer', request).outcome, 'deny');
});

test('extending returns another book, which only denies more', () => {
  const book = compileRules([rule('args[0] == "a"', ['ExecProcess'], { name: 'one' })]);
  const more = extendRules(book, [rule('false', ['ExecProcess'], { name: 'two' })]);
  const allowed = allow('host', 'ExecProcess', '');
  assert.equal(book.decide(allowed, exec(['a']), context).outcome, 'allow');
  assert.equal(more.decide(allowed, exec(['a']), context).rule, 'two');
  assert.equal(more.decide(allowed, exec(['b']), context).rule, 'one');
  assert.deepEqual(
    more.rules.map(({ name }) => name),
    ['one', 'two'],
  );
  assert.equal(extendRules(book, []), book);
  assert.ok(Object.isFrozen(book) && Object.isFrozen(book.rules));
});

test('an unchecked invalid rule fails the compilation', () => {
  assert.throws(() => compileRules([rule('request.nope', ['ExecProcess'], { name: 'bad' })]), {
    message: 'rule "bad" (config.toml:7): ExecProcessRequest has no field "nope"',
  });
});

test('sandbox.members lists existing and past containers, with their exit codes', () => {
  const members = [
    { name: '', state: 'running' },
    { name: 'init', state: 'removed', exitCode: 0 },
  ] as const;
  const at = { ...context, sandbox: { id: 'pod', containers: ['c1'], members } };
  const request = create(ExecProcessRequestSchema, {});
  const outcome = (expression: string): string =>
    ask([rule(expression, ['ExecProcess'])], 'ExecProcess', request, at).outcome;
  const init = 'm.name == "init" && has(m.exit_code) && m.exit_code == 0 && m.state == "removed"';
  assert.equal(outcome(`sandbox.members.exists(m, ${init})`), 'allow');
  assert.equal(outcome('sandbox.members.exists(m, m.name == "" && m.state == "running")'), 'allow');
  assert.equal(outcome('sandbox.members.exists(m, m.name == "web")'), 'deny');
  assert.equal(outcome('sandbox.members.all(m, m.exit_code == 0)'), 'deny', 'a missing code is an error');
  const none = ask([rule('sandbox.members.size() == 0', ['ExecProcess'])], 'ExecProcess', request);
  assert.equal(none.outcome, 'allow');
  assert.match(fault('sandbox.members.exists(m, m.state == "gone")', 'ExecProcess'), /gone/);
  assert.match(fault('sandbox.members.exists(m, m.code == 0)', 'ExecProcess'), /code/);
});

test('the checker’s compiled rule is reused, but only for the rule it was compiled from', () => {
  const checked = createRuleChecker().check({ expression: 'args[0] == "a"', methods: ['ExecProcess'] });
  const outcome = (one: Rule) => ask([one], 'ExecProcess', exec(['b'])).outcome;
  assert.ok(checked instanceof CompiledRule);
  assert.ok(checked.isOf({ expression: 'args[0] == "a"', methods: ['ExecProcess'] }));
  const compiled = new CompiledRule(
    { expression: 'nonsense', methods: ['ExecProcess'] },
    [],
    [],
    checked.plans,
  );
  assert.equal(outcome({ ...rule('nonsense', ['ExecProcess']), checked: compiled }), 'deny');
  assert.equal(outcome({ ...rule('args[0] == "b"', ['ExecProcess']), checked }), 'allow');
  const methods = ['ExecProcess', 'CreateContainer'] as const;
  assert.throws(() => compileRules([{ ...rule('args[0] == "a" && nothing', methods), checked }]), /nothing/);
});

test('a frozen configuration keeps the checker’s compiled rules', () => {
  const checked = createRuleChecker().check({ expression: 'true', methods: ['ExecProcess'] });
  assert.deepEqual(Object.keys(checked), ['faults', 'needsGuest']);
});

test('a rule about the image waits for the pull, and is evaluated where there is none', () => {
  const digest = rule('image.digest == "sha256:a"', ['CreateContainer'], { name: 'digest' });
  const other = rule('container.id == "c1"', ['CreateContainer'], { name: 'other' });
  const request = (driver: string) => create(CreateContainerRequestSchema, { storages: [{ driver }] });
  const outcome = (rules: readonly Rule[], driver: string, more: Partial<RuleContext> = {}) =>
    ask(rules, 'CreateContainer', request(driver), { ...context, ...more });
  const pull = 'image_guest_pull';
  assert.equal(outcome([digest], pull).outcome, 'allow');
  // Others are evaluated before the pull, too.
  const elsewhere = {
    container: { id: 'c2', state: 'none', claimed: { image: '', annotations: {} } },
  } as const;
  assert.equal(outcome([digest, other], pull, elsewhere).rule, 'other');
  const pulled = { from: 'pulled', reference: 'a' } as const;
  assert.equal(outcome([digest], pull, { image: { ...pulled, digest: 'sha256:a' } }).outcome, 'allow');
  assert.equal(outcome([digest], pull, { image: { ...pulled, digest: 'sha256:b' } }).code, 'KA3101');
  // What is not known denies: a puller that verified no digest, the pause container, a root of the host.
  assert.equal(outcome([digest], pull, { image: pulled }).code, 'KA3102');
  assert.equal(outcome([digest], pull, { image: { from: 'pause_bundle' } }).code, 'KA3102');
  assert.equal(outcome([digest], 'overlayfs').code, 'KA3102');
  const own = rule('image.from != "host"', ['CreateContainer']);
  assert.equal(outcome([own], 'overlayfs').code, 'KA3101');
  assert.equal(outcome([own], pull, { image: { from: 'pause_bundle' } }).outcome, 'allow');
  // An inner agent would pull, and nothing would evaluate the rule afterwards.
  const { needsGuest } = createRuleChecker().check({
    expression: own.expression,
    methods: ['CreateContainer'],
  });
  assert.equal(needsGuest[0]?.code, 'KA1315');
});

test('a rule compares the process with what the image declares', () => {
  const config = {
    entrypoint: ['/app'],
    cmd: ['serve'],
    env: ['A=b'],
    user: '1000',
    workingDir: '/w',
    volumes: ['/v'],
    stopSignal: 'SIGINT',
  };
  const expression =
    'args == image.config.entrypoint + image.config.cmd && cwd == image.config.working_dir && image.config.user == "1000" && image.config.env[0] == "A=b" && image.config.volumes == ["/v"] && image.config.stop_signal == "SIGINT"';
  const decided = (Args: string[]) =>
    ask(
      [rule(expression, ['CreateContainer'])],
      'CreateContainer',
      create(CreateContainerRequestSchema, { OCI: { Process: { Args, Cwd: '/w' } } }),
      { ...context, image: { from: 'pulled', config } },
    ).outcome;
  assert.deepEqual([decided(['/app', 'serve']), decided(['/app', 'other'])], ['allow', 'deny']);
});
