import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownRuntime } from './known-runtimes.js';
import { checkSystemdBus } from './systemd-bus.js';

test('runc asks systemd through its private socket as well, crun only through the system bus', () => {
  const only = (path: string) => (socket: string) => socket === path;
  const [runc, crun] = [knownRuntime('runc'), knownRuntime('crun')];
  checkSystemdBus(runc, only('/run/systemd/private'));
  checkSystemdBus(runc, only('/run/dbus/system_bus_socket'));
  checkSystemdBus(crun, only('/run/dbus/system_bus_socket'));
  assert.throws(() => checkSystemdBus(crun, only('/run/systemd/private')), {
    kind: 'precondition',
    message: /^crun cannot ask systemd for the container's cgroup: .*\/system_bus_socket; help: install dbus/,
  });
});
