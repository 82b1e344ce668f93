import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownRuntime } from './known-runtimes.js';
import { checkSystemdBus, knownFlaws, parseFeatures, parseVersionText } from './runtime-features.js';

const flawsOf = (name: string, version: string): readonly string[] =>
  knownFlaws({ runtime: knownRuntime(name), version, seccomp: true });

test('vulnerabilities depend on the version and its release line', () => {
  const count = (version: string): number => flawsOf('runc', version).length;
  assert.deepEqual(
    [
      '1.1.15+ds1',
      '1.2.7',
      '1.2.8',
      '1.3.2',
      '1.3.3',
      '1.3.6',
      '1.4.0',
      '1.4.2',
      '1.4.3',
      '1.5.0',
      '2.0.0',
    ].map(count),
    [2, 2, 1, 2, 1, 0, 1, 1, 0, 0, 0],
  );
  assert.equal(count(''), 0);
});

test('crun’s versions have two or three numbers, and unreachable vulnerabilities do not count', () => {
  const count = (version: string): number => flawsOf('crun', version).length;
  assert.deepEqual(
    ['1.8.1', '1.19', '1.21', '1.27.1', '1.28', '1.28.1', '1.29.1'].map(count),
    [1, 1, 1, 1, 0, 0, 0],
  );
  assert.deepEqual(flawsOf('crun', '1.21'), ['CVE-2026-47766']);
});

test('features are parsed', () => {
  const text = (annotation: string, version: string): string =>
    JSON.stringify({ linux: { seccomp: { enabled: true } }, annotations: { [annotation]: version } });
  assert.deepEqual(parseFeatures(text('org.opencontainers.runc.version', '1.3.6')), {
    runtime: knownRuntime('runc'),
    version: '1.3.6',
    seccomp: true,
  });
  assert.deepEqual(parseFeatures(text('run.oci.crun.version', '1.21')), {
    runtime: knownRuntime('crun'),
    version: '1.21',
    seccomp: true,
  });
  assert.deepEqual(parseFeatures('{}'), { runtime: undefined, version: '', seccomp: false });
});

test('features are parsed from the version of a release without `features`', () => {
  const text =
    'crun version 1.8.1\ncommit: f8a0\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD +SELINUX +CAP +SECCOMP +EBPF\n';
  assert.deepEqual(parseVersionText(text), {
    runtime: knownRuntime('crun'),
    version: '1.8.1',
    seccomp: true,
  });
  assert.equal(parseVersionText(text.replace(' +SECCOMP', '')).seccomp, false);
});

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
