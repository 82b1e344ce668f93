import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withGuestPull } from './remote-configuration.js';

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
