import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MethodName } from '@kata-agent/catalogue';
import { ruleNames } from '../names/rule-names.js';
import { completeExpression, describeExpression, type EditedRule } from './describe-expression.js';

/** Returns the names that can be written at the `|` of an expression. */
function completed(marked: string, ...methods: readonly MethodName[]): readonly string[] {
  const rule = { expression: marked.replace('|', ''), methods };
  return completeExpression(rule, marked.indexOf('|')).parts.map(({ name }) => name);
}

/** Returns the type and methods of what is at the `|`. */
function described(marked: string, ...methods: readonly MethodName[]): string | undefined {
  const rule: EditedRule = { expression: marked.replace('|', ''), methods };
  const found = describeExpression(rule, marked.indexOf('|'))?.part;
  return (
    found && `${found.kind} ${found.type}${found.onlyOf === undefined ? '' : ` of ${found.onlyOf.join()}`}`
  );
}

test('fields are those of what is before the dot', () => {
  const members = ['name', 'state', 'exit_code'];
  assert.deepEqual(completed('sandbox.members[0].|', 'CopyFile'), members);
  assert.deepEqual(completed('(sandbox.members)[0].|', 'CopyFile'), members);
  assert.deepEqual(
    completed('sandbox.members.filter(m, m.state == "a.b(").exists(o, o.| && true', 'CopyFile'),
    members,
  );
  assert.deepEqual(completed('sandbox.members.all(m, sandbox.containers.all(c, m.na|', 'CopyFile'), members);
  assert.deepEqual(completed('sandbox.members.all(m, true) && m.|', 'CopyFile'), []);
  assert.deepEqual(completed('nothing.|', 'CopyFile'), []);
  assert.deepEqual(completed('.|', 'CopyFile'), []);
});

test('methods are those of the type', () => {
  assert.ok(completed('env["A"].|', 'ExecProcess').includes('matches'));
  assert.ok(!completed('terminal.|', 'ExecProcess').includes('matches'));
  assert.deepEqual(completed('args.|', 'ExecProcess'), [
    'size',
    'all',
    'exists',
    'exists_one',
    'filter',
    'map',
  ]);
});

test('names of some of the methods say which', () => {
  assert.equal(described('ar|gs', 'ExecProcess', 'StartContainer'), 'name list(string) of ExecProcess');
  assert.equal(
    described('re|quest', 'ExecProcess', 'StartContainer'),
    'name ExecProcessRequest or StartContainerRequest',
  );
  assert.equal(described('request.process.Ar|gs', 'ExecProcess'), 'field list(string)');
  assert.equal(described('args.si|ze()', 'ExecProcess'), 'function size(value), value.size()');
  assert.equal(described('args.all(ar|g, arg != "")', 'ExecProcess'), undefined);
  assert.equal(described('args.all(arg, ar|g != "")', 'ExecProcess'), 'variable string');
  assert.equal(described('"ar|gs"', 'ExecProcess'), undefined);
});

test('texts and comments have no names, but the values that a name can have', () => {
  assert.deepEqual(completed('"|"', 'ExecProcess'), []);
  assert.deepEqual(completed('true // ar|', 'ExecProcess'), []);
  assert.ok(completed('"http://" == |', 'ExecProcess').includes('args'));
  assert.deepEqual(completed('"a" == peer.kind && peer.kind != "|"', 'ExecProcess'), [
    'unix',
    'vsock',
    'tls',
  ]);
});

test('each beginning of an expression has completions', () => {
  const inside =
    'mounts.all(m, m.options.exists(o, ["a", \'b\'].size() > -1 ? {"k": o}.k == r"""x""" : has(m.type))) // end\n)]}"';
  for (const expression of [inside, ...ruleNames.map(({ example }) => example)])
    for (let end = 0; end <= expression.length; end += 1) {
      const rule: EditedRule = {
        expression: expression.slice(0, end),
        methods: ['CreateContainer', 'ExecProcess'],
      };
      const { start, end: replaced } = completeExpression(rule, end);
      assert.ok(start <= end && end <= replaced + 1 && replaced <= end);
      describeExpression(rule, end);
    }
});
