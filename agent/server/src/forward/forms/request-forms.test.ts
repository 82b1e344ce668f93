import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  type MessageInitShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { groups, methodNames } from '@kata-agent/catalogue';
import { noAccess } from '@kata-agent/gate';
import { AgentService, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import {
  type Linux,
  type LinuxDevice,
  LinuxDeviceSchema,
  LinuxSchema,
  type LinuxSyscallSchema,
} from '@kata-agent/protocol/oci';
import { readNodes } from './device-forms.js';
import { type FormContext, ForwardedSandbox } from './forwarded-sandbox.js';
import { readLinux } from './linux-form.js';
import { NotAlike } from './values.js';
import { methodForms, readRequest, type Forwarding } from './request-forms.js';

const words: Readonly<Record<Forwarding, string>> = {
  alike: 'read alike',
  built: 'built anew',
  limited: 'refused fields',
  unserved: 'not served',
  here: 'answered here',
};

function context(): FormContext {
  return {
    sandbox: new ForwardedSandbox(),
    access: noAccess,
    isRefusing: true,
    nodes: { numberOf: () => undefined, nameOf: () => undefined },
  };
}

test('docs/forward-mode.md says how each method is forwarded, those of @pod first', () => {
  const pod = groups.get('@pod')?.methods ?? [];
  const order = [...pod, ...methodNames.filter((name) => !pod.includes(name))];
  const rows = order.map((name) => {
    const { forwarding, kata, note } = methodForms[name];
    return `| ${name} | ${words[forwarding]} | ${note} | ${kata} |`;
  });
  const table = ['| method | | what is forwarded | Kata |', '|---|---|---|---|', ...rows].join('\n');
  const page = readFileSync(new URL('../../../../../docs/forward-mode.md', import.meta.url), 'utf8');
  assert.ok(page.includes(`\n${table}\n`), `the table should be:\n${table}`);
});

test('a field that no form reads is refused by its name, in each message of each request', () => {
  let fields = 0;
  for (const method of AgentService.methods) {
    if (['here', 'unserved'].includes(methodForms[method.name as keyof typeof methodForms].forwarding))
      continue;
    for (const { path, message } of withOneField(method.input)) {
      fields += 1;
      try {
        const { message: built } = readRequest(method, message, context());
        assert.ok(isSet(method.input, built, path), `${method.name}: ${path.join('.')} is dropped`);
      } catch (error) {
        assert.ok(error instanceof NotAlike, String(error));
      }
    }
  }
  assert.ok(fields > 100, `${fields} fields`);
});

test('a container that the inner agent did not create can be created again, and what it mounted stays known', () => {
  const sandbox = new ForwardedSandbox();
  const storage = {
    mountPoint: '/run/kata-containers/sandbox/storage/a',
    identity: 'one',
    disk: 'blk 02/01',
  };
  sandbox.add({ container: 'c1', storages: [storage] });
  assert.throws(() => sandbox.check({ container: 'c1' }), /container "c1" exists/);
  sandbox.containerFailed('c1');
  sandbox.check({ container: 'c1', storages: [storage] });
  assert.throws(() => sandbox.check({ storages: [{ ...storage, identity: 'two' }] }), /of another storage/);
  assert.throws(
    () => sandbox.check({ storages: [{ ...storage, mountPoint: '/b' }] }),
    /is mounted at .* already/,
  );
});

test('what is remembered has a limit', () => {
  const sandbox = new ForwardedSandbox();
  for (let count = 0; count < 16_384; count += 1) {
    const names = new Map([[`volume-${count}`, 'volume'] as const]);
    sandbox.check({ names });
    sandbox.add({ names });
  }
  assert.throws(() => sandbox.check({ names: new Map([['one-more', 'volume']]) }), /has had 16384/);
  // Other calls continue.
  sandbox.check({});
  sandbox.check({ exec: { container: 'c1', id: 'e1' } });
});

test('an error names the field, the value and a remedy', () => {
  const request = create(CreateContainerRequestSchema, { containerId: 'c1', stdinPort: 5 });
  const method = AgentService.method.createContainer;
  assert.throws(() => readRequest(method, request, context()), {
    kind: 'malformed',
    message:
      'stdin_port, stdout_port and stderr_port: they must be 0: with forward, stdio is available by calls alone',
  });
});

test('a device that the configuration names by its path has the number of the guest', () => {
  const fuse = (minor: bigint): LinuxDevice =>
    create(LinuxDeviceSchema, { Path: '/dev/fuse', Type: 'c', Major: 10n, Minor: minor });
  const named = {
    ...context(),
    access: { ...noAccess, devices: ['/dev/fuse'] },
    nodes: {
      numberOf: (path: string) => (path === '/dev/fuse' ? '10:229' : undefined),
      nameOf: (number: string) => (number === '10:77' ? 'tdx_guest' : undefined),
    },
  };
  assert.equal(readNodes([fuse(229n)], [], named).length, 1);
  assert.throws(() => readNodes([fuse(228n)], [], named), /is not the device c 10:228 of the guest/);
  assert.throws(() => readNodes([fuse(224n)], [], named), /is for attestation of the guest/);
  assert.throws(() => readNodes([fuse(77n)], [], named), /is for attestation of the guest/);
  const allowing = { ...named, isRefusing: false };
  assert.equal(readNodes([fuse(228n)], [], allowing).length, 1);
  assert.throws(() => readNodes([fuse(77n)], [], allowing), /is for attestation of the guest/);
  const memory = create(LinuxDeviceSchema, { Path: '/dev/x', Type: 'c', Major: 1n, Minor: 1n });
  assert.throws(() => readNodes([memory], [], allowing), /is the guest's own memory/);
});

test('a missing number of a seccomp error, which Kata takes for success, is refused', () => {
  const profile = (init: MessageInitShape<typeof LinuxSyscallSchema>): Linux =>
    create(LinuxSchema, {
      Seccomp: { DefaultAction: 'SCMP_ACT_ALLOW', Syscalls: [{ Names: ['setuid'], ...init }] },
    });
  const read = (linux: Linux): Linux => readLinux(linux, { devices: [], sandboxPidns: false }, context());
  assert.throws(() => read(profile({ Action: 'SCMP_ACT_ERRNO' })), /fails with error \(none\)/);
  const zero = { case: 'errnoret', value: 0 } as const;
  assert.throws(() => read(profile({ Action: 'SCMP_ACT_ERRNO', ErrnoRet: zero })), /fails with error 0/);
  assert.throws(() => read(profile({ Action: 'SCMP_ACT_NOTIFY' })), /is not an action/);
  read(profile({ Action: 'SCMP_ACT_ERRNO', ErrnoRet: { case: 'errnoret', value: 1 } }));
  read(profile({ Action: 'SCMP_ACT_KILL_PROCESS' }));
});

type Path = readonly string[];

/** Returns requests in which one field is set, of each message in the request. */
function withOneField(descriptor: DescMessage, depth = 0): readonly { path: Path; message: Message }[] {
  if (depth > 6) return [];
  return descriptor.fields.flatMap((field) => {
    const inner = field.fieldKind === 'message' || field.fieldKind === 'list' ? field.message : undefined;
    const values: readonly { path: Path; value: unknown }[] =
      inner === undefined
        ? [{ path: [], value: sample(field) }]
        : withOneField(inner, depth + 1).map(({ path, message }) => ({
            path,
            value: reflect(inner, message),
          }));
    return values.map(({ path, value }) => {
      const message = create(descriptor);
      const reflected = reflect(descriptor, message);
      if (field.fieldKind === 'list') reflected.get(field).add(value);
      else if (field.fieldKind === 'map') reflected.get(field).set('a', value);
      else reflected.set(field, value);
      return { path: [field.localName, ...path], message };
    });
  });
}

function sample(field: DescField): unknown {
  const scalar = 'scalar' in field ? field.scalar : undefined;
  switch (scalar) {
    case ScalarType.STRING:
      return 'a';
    case ScalarType.BYTES:
      return Buffer.from('a');
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return 1n;
    default:
      return 1;
  }
}

function isSet(descriptor: DescMessage, message: Message, [name, ...rest]: Path): boolean {
  const field = descriptor.fields.find(({ localName }) => localName === name);
  if (field === undefined) return true;
  const reflected = reflect(descriptor, message);
  if (!reflected.isSet(field)) return false;
  if (field.fieldKind !== 'message') return true;
  return isSet(field.message, reflected.get(field).message, rest);
}
