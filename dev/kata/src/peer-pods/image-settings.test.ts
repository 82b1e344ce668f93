import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withImageSettings } from './image-settings.js';

const keys = { puller: '"built-in"', require_digest: 'true' };

test('a section [image] is added', () => {
  assert.equal(
    withImageSettings('[api]\nx = 1\n', keys),
    '[api]\nx = 1\n\n[image]\npuller = "built-in"\nrequire_digest = true\n',
  );
});

test('keys are added to the section that is there, whose values stay', () => {
  assert.equal(
    withImageSettings('[image]\npuller = "cdh"\n\n[api]\nrequire_digest = 1\n', keys),
    '[image]\nrequire_digest = true\npuller = "cdh"\n\n[api]\nrequire_digest = 1\n',
  );
  assert.equal(
    withImageSettings('[api]\n\n[image]\nrequire_digest = false\n', keys),
    '[api]\n\n[image]\npuller = "built-in"\nrequire_digest = false\n',
  );
});
