import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentComment, ruleComment } from './rule-comment.js';

const lines = `# Of the document.
#   Its second line.

[api]
# Not of the rule.

# Of the rule,
# in two lines.
[[api.rule]]
endpoints = ["ExecProcess"]
name = "one"
expression = "false"
[[ api . "rule" ]]
name = "two"
`.split('\n');

test('the comment directly above a rule, from the line of its name', () => {
  assert.equal(ruleComment(lines, 11), 'Of the rule,\nin two lines.');
  assert.equal(ruleComment(lines, 14), '');
  assert.equal(ruleComment(['api.rule = [{ name = "one" }]'], 1), '');
  assert.equal(ruleComment([], 7), '');
});

test('the comment with which a document begins', () => {
  assert.equal(documentComment(lines), 'Of the document.\n  Its second line.');
  assert.equal(documentComment(['[api]', '# no']), '');
});
