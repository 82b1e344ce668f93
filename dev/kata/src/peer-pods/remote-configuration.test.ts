import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withGuestPull, withImageSettings } from './remote-configuration.js';

test('a configuration of Kata gets the socket and guest pull', () => {
  const text =
    '[hypervisor.remote]\nremote_hypervisor_socket = "/run/x"\n\n[runtime]\nenable_debug = false\n';
  assert.equal(
    withGuestPull(text, '/tmp/h.sock'),
    '[hypervisor.remote]\nremote_hypervisor_socket = "/tmp/h.sock"\n\n[runtime]\nexperimental_force_guest_pull = true\nenable_debug = false\n',
  );
  assert.throws(() => withGuestPull('[runtime]\n', '/tmp/h.sock'), /no remote_hypervisor_socket/);
});

test('a template that has guest pull already is changed, not given the key twice', () => {
  const text = 'remote_hypervisor_socket = "/run/x"\n[runtime]\nexperimental_force_guest_pull = false\n';
  assert.equal(
    withGuestPull(text, '/h'),
    'remote_hypervisor_socket = "/h"\n[runtime]\nexperimental_force_guest_pull = true\n',
  );
});

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
