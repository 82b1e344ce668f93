import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isImageName } from './image-name.js';

test('names of images are those that the kubelet takes', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  for (const name of [
    'redis',
    'redis:7.4',
    'library/redis',
    'docker.io/library/redis:7.4',
    'localhost:5000/a__b/c-d--e:v1_2',
    'MY.registry.example/app',
    '[::1]:5000/app',
    `registry.example/app:1@${digest}`,
    `app@${digest}`,
  ])
    assert.ok(isImageName(name), name);
  for (const name of [
    '',
    '<YOUR-CONTAINER>',
    'App:1',
    'MyOrg/App:1.0',
    'https://registry.example/app:1',
    'registry.example/app:1 ',
    'registry.example/app@sha256:abc',
    'app:',
    'a/',
    '-a',
    'a:{{ .Values.tag }}',
    'app:1\n',
  ])
    assert.ok(!isImageName(name), name);
});
