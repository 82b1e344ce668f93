import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextKey, ContextValues } from './interceptor.js';

test('a value is found by its key, and not by another key of the same name', () => {
  const [key, other] = [contextKey<number>('user'), contextKey<number>('user')];
  const values = new ContextValues();
  assert.equal(values.get(key), undefined);
  values.set(key, 1);
  values.set(key, 2);
  assert.equal(values.get(key), 2);
  assert.equal(values.get(other), undefined);
});
