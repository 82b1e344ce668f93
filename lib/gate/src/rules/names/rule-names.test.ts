import assert from 'node:assert/strict';
import { test } from 'node:test';
import { methodNames } from '@kata-agent/catalogue';
import { ruleFunctions } from '../functions/functions.js';
import { fieldOf, typeOfField } from '../language/field.js';
import { check } from '../rules.test.fixture.js';
import { requestDescriptor } from './call-names.js';
import { namesFor, ruleNames } from './rule-names.js';

test('each name has an example that is valid for its methods', () => {
  for (const { name, methods, example } of ruleNames) {
    assert.ok(example.includes(name), name);
    assert.deepEqual(check(example, ...methods), [], name);
  }
});

test('each name has the same meaning for all methods, except the request', () => {
  assert.equal(new Set(ruleNames.map(({ name }) => name)).size, ruleNames.length);
  for (const method of methodNames) {
    const names = namesFor(method);
    for (const name of ['request', 'sandbox', 'listener', 'peer']) assert.ok(names.has(name));
    const fields = requestDescriptor(method).fields.map(({ name }) => name);
    assert.equal(names.has('container'), fields.includes('container_id'), method);
  }
});

test('every field of every request can be read', () => {
  for (const method of methodNames) {
    const descriptor = requestDescriptor(method);
    for (const field of descriptor.fields) {
      assert.ok(fieldOf({ kind: 'message', message: descriptor }, field.name), `${method}.${field.name}`);
      assert.notEqual(typeOfField(field).kind, 'nothing');
    }
  }
});

test('each function documents its syntax', () => {
  for (const { name, form, overloads } of ruleFunctions) {
    assert.ok(form.includes(`${name}(`), name);
    assert.ok(overloads.length > 0, name);
    for (const overload of overloads) assert.equal(overload.name, name);
  }
});
