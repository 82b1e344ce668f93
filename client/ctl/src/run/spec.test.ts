import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { CommandError, ExitCode } from '@kata-agent/cli';
import { containerSpec, execSpec, type ProcessRequest, processSpec, type RootfsMode } from './spec.js';
import { signalNumber } from './signals.js';

const plain: ProcessRequest = {
  args: ['sh'],
  env: [],
  user: undefined,
  cwd: undefined,
  terminal: false,
  size: undefined,
};

const wrongUse =
  (pattern: RegExp) =>
  (error: unknown): boolean =>
    error instanceof CommandError && error.exitCode === ExitCode.Usage && pattern.test(error.message);

test('by default a program runs as root in / with a search path and few capabilities', () => {
  const process = processSpec(plain, {});
  assert.deepEqual(process.User, { UID: 0, GID: 0, AdditionalGids: [] });
  assert.equal(process.Cwd, '/');
  assert.equal(process.NoNewPrivileges, true);
  assert.equal(process.Env?.length, 1);
  assert.match(process.Env?.[0] ?? '', /^PATH=.*\/bin/);
  const capabilities = process.Capabilities?.Effective ?? [];
  assert.ok(capabilities.includes('CAP_CHOWN'));
  assert.ok(!capabilities.includes('CAP_SYS_ADMIN'));
  const { Capabilities: _, NoNewPrivileges: __, ...others } = process;
  assert.deepEqual(execSpec(plain, {}), others, 'an exec has the privileges of its container');
});

test("a variable is set once, the last value wins, and a bare name takes the caller's value", () => {
  const env = ['A=1', 'PATH=/x', 'A=2', 'HERE', 'ABSENT', 'EMPTY='];
  const process = processSpec({ ...plain, env }, { HERE: 'yes' });
  assert.deepEqual(process.Env, ['PATH=/x', 'A=2', 'HERE=yes', 'EMPTY=']);
});

test('only a terminal has a type and a size', () => {
  const size = { rows: 24, columns: 80 };
  const terminal = processSpec({ ...plain, terminal: true, size }, {});
  assert.deepEqual(terminal.ConsoleSize, { Height: 24, Width: 80 });
  assert.ok(terminal.Env?.includes('TERM=xterm'));
  assert.equal(processSpec({ ...plain, size }, {}).ConsoleSize, undefined);
});

test('users are numbers', () => {
  const user = (text: string) => processSpec({ ...plain, user: text }, {}).User;
  assert.deepEqual(user('1000'), { UID: 1000, GID: 0, AdditionalGids: [] });
  assert.deepEqual(user('1000:100'), { UID: 1000, GID: 100, AdditionalGids: [] });
  assert.deepEqual(user('1:2,3,4'), { UID: 1, GID: 2, AdditionalGids: [3, 4] });
  for (const text of ['', 'root', '1:', '-1', '1:2,', '4294967295', '1:2:3']) {
    assert.throws(() => user(text), wrongUse(/--user/), text);
  }
});

test('an invalid variable or directory is wrong use', () => {
  assert.throws(() => processSpec({ ...plain, env: ['=x'] }, {}), wrongUse(/--env '=x'/));
  assert.throws(() => processSpec({ ...plain, cwd: 'tmp' }, {}), wrongUse(/--cwd 'tmp'/));
});

test('a container is a valid request with its own namespaces and the guest’s network', () => {
  const process = processSpec(plain, {});
  const request = create(
    CreateContainerRequestSchema,
    containerSpec({ id: 'web', rootfs: '/srv', rootfsMode: 'read-only', hostname: 'h', process }),
  );
  assert.equal(request.execId, 'web');
  assert.deepEqual(request.OCI?.Linux?.Namespaces.map((namespace) => namespace.Type).sort(), [
    'ipc',
    'mount',
    'pid',
    'uts',
  ]);
  assert.equal(request.OCI?.Root?.Readonly, true);
  assert.ok(request.OCI?.Mounts.some((mount) => mount.destination === '/proc'));
  assert.ok(request.OCI?.Linux?.MaskedPaths.includes('/proc/kcore'));
});

test('writes go to a layer, to the directory, or fail', () => {
  const process = processSpec(plain, {});
  const spec = (rootfsMode: RootfsMode) =>
    create(
      CreateContainerRequestSchema,
      containerSpec({ id: 'web', rootfs: '/srv', rootfsMode, hostname: '', process }),
    );
  const layer = spec('layer');
  assert.deepEqual(layer.storages[0]?.options, ['lowerdir=/srv', 'io.katacontainers.fs-opt.overlay-rw']);
  assert.equal(layer.storages[0]?.mountPoint, layer.OCI?.Root?.Path);
  assert.equal(layer.OCI?.Root?.Readonly, false);
  const readOnly = spec('read-only');
  assert.equal(readOnly.storages.length, 0);
  assert.deepEqual([readOnly.OCI?.Root?.Path, readOnly.OCI?.Root?.Readonly], ['/srv', true]);
  const writable = spec('writable');
  assert.deepEqual([writable.storages[0]?.driver, writable.storages[0]?.source], ['bind', '/srv']);
  assert.equal(writable.storages[0]?.mountPoint, writable.OCI?.Root?.Path);
});

test('IDs and rootfs are checked before any call', () => {
  const process = processSpec(plain, {});
  const spec = (id: string, rootfs: string) =>
    containerSpec({ id, rootfs, rootfsMode: 'layer', hostname: '', process });
  for (const id of ['', '.x', '-x', 'a/b', 'a b', 'é', 'x'.repeat(129)]) {
    assert.throws(() => spec(id, '/r'), wrongUse(/--name/), id);
  }
  for (const rootfs of ['r', '/a:b', '/a,b']) {
    assert.throws(() => spec('web', rootfs), wrongUse(/rootfs '/), rootfs);
  }
});

test('signals have names and numbers', () => {
  for (const [text, number] of [
    ['TERM', 15],
    ['SIGTERM', 15],
    ['sigkill', 9],
    ['9', 9],
    ['64', 64],
  ] as const) {
    assert.equal(signalNumber(text), number, text);
  }
  for (const text of ['', '0', '65', '-9', 'TERMINATE', 'SIG', '__proto__', 'constructor']) {
    assert.throws(() => signalNumber(text), wrongUse(/is not a signal/), text);
  }
});
