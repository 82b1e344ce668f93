import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OperatorVerb, operatorVerbs } from '@kata-agent/catalogue';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Operator } from '../authorization/operator-rights.js';
import { RemoteRefusedError } from '../bus/bus.js';
import { HttpError } from '../http/http-answers.js';
import { TooManyRevocations } from '../store/revocations.js';
import { httpErrorOf, OperatorChecks } from './operator-checks.js';
import type { Decision } from './operator-context.js';

const web = { id: 'a'.repeat(64), name: 'web' };
/** Of an entry with more than one guest. */
const batch = { id: 'b'.repeat(64), name: `batch-${'b'.repeat(12)}` };

function operatorOf(verbs: readonly OperatorVerb[], guests?: readonly string[], name = 'cn:alice'): Operator {
  const isFor = (guest: string): boolean =>
    guests?.some((each) => each === guest || (each.endsWith('*') && guest.startsWith(each.slice(0, -1)))) ??
    true;
  return {
    name,
    may: (verb, guest) => verbs.includes(verb) && isFor(guest.name),
    mayCall: () => false,
  };
}

interface Checked {
  readonly checks: OperatorChecks;
  readonly decisions: Decision[];
}

function setUp(): Checked {
  const decisions: Decision[] = [];
  const checks = new OperatorChecks({
    decisions: { record: (decision) => decisions.push(decision) },
    isOwn: (revocation) => 'peer' in revocation && revocation.peer === 'cn:realm',
  });
  return { checks, decisions };
}

/** Returns the status and code of the refusal; `allowed` if there is none. */
function answerOf(work: () => unknown): string {
  try {
    work();
    return 'allowed';
  } catch (error) {
    assert.ok(error instanceof HttpError);
    return `${error.status} ${error.code}`;
  }
}

test('a certificate that no entry names is refused', () => {
  const { checks } = setUp();
  assert.equal(
    answerOf(() => checks.operator(() => undefined)),
    '403 unknown_operator',
  );
  const alice = operatorOf([]);
  assert.equal(
    checks.operator(() => alice),
    alice,
  );
});

test('an operator needs list and the verb; without list a guest is answered as one that is absent', () => {
  for (const verb of operatorVerbs)
    for (const [verbs, found, expected, reason] of [
      [['list', verb], web, 'allowed', undefined],
      [[verb], web, verb === 'list' ? 'allowed' : '404 no_such_guest', 'the operator lacks the verb list'],
      [[], web, '404 no_such_guest', 'the operator lacks the verb list'],
      [['list'], web, verb === 'list' ? 'allowed' : '403 denied', `the operator lacks the verb ${verb}`],
      [['list', verb], undefined, '404 no_such_guest', "there is no guest 'web'"],
    ] as const) {
      const { checks, decisions } = setUp();
      const what = `${verb} with ${verbs.join()} ${found?.name}`;
      assert.equal(
        answerOf(() => checks.guest(operatorOf(verbs), verb, 'web', found)),
        expected,
        what,
      );
      if (expected === 'allowed') assert.deepEqual(decisions, [], what);
      else
        assert.deepEqual(
          decisions,
          [{ operator: 'cn:alice', verb, ...(found && { guest: found }), allowed: false, reason }],
          what,
        );
    }
});

test('the text for a guest that may not be listed is the text for one that is absent', () => {
  const { checks } = setUp();
  const textOf = (operator: Operator, guest: typeof web | undefined): string => {
    try {
      return checks.guest(operator, 'audit', 'web', guest).name;
    } catch (error) {
      return JSON.stringify([(error as HttpError).status, (error as HttpError).message]);
    }
  };
  assert.equal(textOf(operatorOf(['audit']), web), textOf(operatorOf(operatorVerbs), undefined));
});

test('a revocation needs the right for every guest of the entry', () => {
  const { checks, decisions } = setUp();
  const verbs = ['list', 'revoke'] as const;
  const ask = (guests: readonly string[]): string =>
    answerOf(() => checks.guest(operatorOf(verbs, guests), 'revoke', batch.name, batch));
  assert.equal(ask([batch.name]), '403 denied');
  assert.equal(decisions[0]?.reason, 'the operator lacks the verb revoke for other guests of the entry');
  assert.equal(ask(['batch-*']), 'allowed');
  assert.equal(ask(['*']), 'allowed');
  // A guest that is alone in its entry has the name of it.
  assert.equal(
    answerOf(() => checks.guest(operatorOf(verbs, ['web']), 'revoke', 'web', web)),
    'allowed',
  );
  assert.equal(
    answerOf(() => checks.guest(operatorOf(['list', 'connect'], [batch.name]), 'connect', 'x', batch)),
    'allowed',
  );
});

test('a name of an operator that no guest accepts is refused where the relay is trusted', () => {
  for (const [name, expected] of [
    ['cn:alice', 'allowed'],
    [`cn:${'a'.repeat(253)}`, 'allowed'],
    [`cn:${'a'.repeat(254)}`, '403 denied'],
    ['cn:\u00e9ve', '403 denied'],
    ['cn:a\nb', '403 denied'],
  ] as const) {
    const { checks, decisions } = setUp();
    assert.equal(
      answerOf(() => checks.nameFor(web, operatorOf(operatorVerbs, undefined, name))),
      expected,
      name,
    );
    assert.equal(decisions.length, expected === 'allowed' ? 0 : 1, name);
  }
});

test('a revocation cannot name the realm', () => {
  const { checks } = setUp();
  assert.equal(
    answerOf(() => checks.revocation({ peer: 'cn:realm' })),
    '400 bad_request',
  );
  assert.equal(
    answerOf(() => checks.revocation({ peer: 'cn:eve' })),
    'allowed',
  );
});

test('what is done, what has ended and what is too much is recorded', () => {
  const { checks, decisions } = setUp();
  const alice = operatorOf(operatorVerbs);
  checks.allowed(alice, 'audit', web, 'reads the audit log');
  checks.ended(alice, 'connect', web, 'the authorization has changed');
  const error = checks.tooMany(alice, 'audit', web, '8 readers of audit logs');
  assert.equal(`${error.status} ${error.code}`, '429 too_many');
  assert.deepEqual(
    decisions.map(({ verb, allowed, reason }) => [verb, allowed, reason]),
    [
      ['audit', true, 'reads the audit log'],
      ['connect', false, 'the authorization has changed'],
      ['audit', false, 'the operator has 8 readers of audit logs, which is the limit'],
    ],
  );
});

test('an error that is not for operators is reported, and its text stays here', () => {
  const reported: string[] = [];
  const answered = (error: unknown): string => {
    const { status, code, message } = httpErrorOf(error, (what) => reported.push(what));
    return `${status} ${code} ${message}`;
  };
  assert.equal(answered(new HttpError(418, 'x', 'y')), '418 x y');
  assert.equal(
    answered(new RemoteRefusedError({ status: 403, code: 'denied', message: 'there' })),
    '403 denied there',
  );
  assert.equal(answered(new TooManyRevocations('full', 'wait')), '429 too_many full: wait');
  assert.equal(
    answered(new TtrpcError(Code.Unimplemented, 'not here')),
    '502 guest_error the guest answered UNIMPLEMENTED: not here',
  );
  assert.deepEqual(reported, []);
  assert.equal(answered(new Error('/secret/path')), '500 internal the realm failed; its log has the reason');
  assert.deepEqual(reported, ['a request of an operator failed']);
});
