import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { clone, create, fromJson, type JsonValue, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema, MountSchema } from '@kata-agent/protocol/oci';
import { decision } from '../decision.js';
import { type PrivilegeAccess, noAccess } from './privilege-access.js';
import { privilegesOf, reasonsOf } from './privileges-of.js';
import { type PrivilegedReason, privilegedReasons } from './reason.js';
import { PrivilegeGate, privilegedContainers } from './refuse-privileged.js';

// What containerd and Kata send for a web server.
const golden = new URL('../../src/rules/golden/create-container.json', import.meta.url);
const ordinary = fromJson(
  CreateContainerRequestSchema,
  JSON.parse(readFileSync(golden, 'utf8')) as JsonValue,
);

type Change = (request: CreateContainerRequest) => void;

function reasons(change: Change, access: PrivilegeAccess = noAccess): readonly PrivilegedReason[] {
  const request = clone(CreateContainerRequestSchema, ordinary);
  change(request);
  return reasonsOf(privilegesOf(request, access));
}

const mount = (init: MessageInitShape<typeof MountSchema>): Change => {
  return ({ OCI }) => void OCI?.Mounts.push(create(MountSchema, init));
};
const device = (Path: string, Major: bigint, Minor: bigint): Change => {
  return ({ OCI }) =>
    void OCI?.Linux?.Devices.push(create(LinuxDeviceSchema, { Path, Type: 'c', Major, Minor }));
};

test('what a runtime sends for an ordinary container has no reason', () => {
  assert.deepEqual(
    reasons(() => undefined),
    [],
  );
  assert.deepEqual(privilegesOf(create(ExecProcessRequestSchema, { process: { Args: ['sh'] } })), []);
});

const changes: Readonly<Record<PrivilegedReason, readonly Change[]>> = {
  capabilities: [
    ({ OCI }) => void OCI?.Process?.Capabilities?.Ambient.push('CAP_SYS_ADMIN'),
    ({ OCI }) => void OCI?.Process?.Capabilities?.Inheritable.push('CAP_NET_ADMIN'),
    ({ OCI }) => void OCI?.Process?.Capabilities?.Bounding.push('chown'),
  ],
  'unmasked-paths': [
    ({ OCI }) => void OCI?.Linux?.MaskedPaths.pop(),
    ({ OCI }) => void OCI?.Linux?.ReadonlyPaths.pop(),
    ({ OCI }) => {
      if (OCI?.Linux) OCI.Linux.MaskedPaths = [];
    },
  ],
  'other-masked-paths': [
    ({ OCI }) => void OCI?.Linux?.MaskedPaths.push('/bin/sleep'),
    ({ OCI }) => void OCI?.Linux?.ReadonlyPaths.push('/tmp'),
    ({ OCI }) => void OCI?.Linux?.MaskedPaths.push('/proc/acpi/../../etc'),
  ],
  'kernel-filesystem': [
    mount({ type: 'proc', destination: '/proc/', source: 'proc' }),
    mount({ type: 'sysfs', destination: '/sys', source: 'sysfs', options: ['ro', 'rw'] }),
    mount({ type: 'cgroup2', destination: '/sys/fs/cgroup', source: 'cgroup' }),
    mount({ type: 'tmpfs', destination: '/', source: 'tmpfs' }),
    ({ OCI }) => void OCI?.Mounts.shift(),
    ({ OCI }) =>
      void OCI?.Mounts.splice(
        OCI.Mounts.findIndex(({ destination }) => destination === '/dev'),
        1,
      ),
    mount({ type: 'bind', destination: '/dev/', source: '/run/kata-containers/shared/containers/dev' }),
  ],
  'guest-paths': [
    mount({ type: 'bind', destination: '/m', source: '/', options: ['ro'] }),
    mount({ type: 'bind', destination: '/m', source: '/run/kata-containers/../kata-agent', options: ['ro'] }),
    mount({ type: 'none', destination: '/m', source: '/etc', options: ['rbind', 'ro'] }),
  ],
  'mount-propagation': [
    mount({ type: 'tmpfs', destination: '/m', source: 'tmpfs', options: ['shared'] }),
    ({ OCI }) => {
      if (OCI?.Linux) OCI.Linux.RootfsPropagation = 'unbindable';
    },
  ],
  'host-namespaces': [
    ({ OCI }) => void OCI?.Linux?.Namespaces.shift(),
    ({ OCI }) => {
      const [first] = OCI?.Linux?.Namespaces ?? [];
      if (first !== undefined) first.Path = '/proc/1/ns/ipc';
    },
  ],
  'user-namespace': [
    ({ OCI }) => {
      const [first] = OCI?.Linux?.Namespaces ?? [];
      if (first !== undefined) OCI?.Linux?.Namespaces.push({ ...first, Type: 'user' });
    },
  ],
  'shared-processes': [
    (request) => {
      request.sandboxPidns = true;
    },
  ],
  'shared-mounts': [
    (request) => {
      request.sharedMounts = create(CreateContainerRequestSchema, { sharedMounts: [{}] }).sharedMounts;
    },
  ],
  'all-devices': ['', 'a', 'c', 'b'].map((Type): Change => {
    return ({ OCI }) => {
      const init = { Resources: { Devices: [{ Allow: true, Type, Major: 1n, Minor: -1n, Access: 'r' }] } };
      if (OCI?.Linux)
        OCI.Linux.Resources = create(CreateContainerRequestSchema, {
          OCI: { Linux: init },
        }).OCI?.Linux?.Resources;
    };
  }),
  devices: [device('/dev/kvm', 10n, 232n), device('/dev/null', 1n, 5n), device('/dev//null', 1n, 3n)],
  'oom-score': [
    ({ OCI }) => {
      if (OCI?.Process) OCI.Process.OOMScoreAdj = -999n;
    },
  ],
};

for (const reason of Object.keys(privilegedReasons) as PrivilegedReason[]) {
  test(`${reason} is a reason, and names itself alone`, () => {
    assert.ok(changes[reason].length > 0);
    for (const change of changes[reason]) assert.deepEqual(reasons(change), [reason], String(change));
  });
}

test('what the configuration opens is no reason, and no more than that', () => {
  const access = { devices: ['/dev/fuse', 'c 10:200'], guestPaths: ['/opt/models', 'rw:/var/cache'] };
  const bind = (source: string, option: string): Change =>
    mount({ type: 'bind', destination: '/m', source, options: ['rbind', option] });
  for (const change of [
    device('/dev/fuse', 99n, 1n),
    device('/dev/net/tun', 10n, 200n),
    bind('/opt/models/a', 'ro'),
    bind('/var/cache', 'rw'),
  ])
    assert.deepEqual(reasons(change, access), [], String(change));
  for (const change of [bind('/opt/models', 'rw'), bind('/opt/models2', 'ro'), bind('/opt/models/..', 'ro')])
    assert.deepEqual(reasons(change, access), ['guest-paths'], String(change));
  assert.deepEqual(reasons(device('/dev/fuse2', 10n, 229n), access), ['devices']);
});

const settings = { privilegedContainers: undefined, devices: [], guestPaths: [] };
const documents = [{}] as unknown as Parameters<typeof privilegedContainers>[0]['documents'];

test('privileged containers are refused as soon as there is a document, unless it says otherwise', () => {
  assert.equal(privilegedContainers({ settings, documents }), 'refuse');
  assert.equal(privilegedContainers({ settings, documents: [] }), 'allow');
  const allowed = { ...settings, privilegedContainers: 'allow' } as const;
  assert.equal(privilegedContainers({ settings: allowed, documents }), 'allow');
});

test('a refusal names the key, the reasons and the remedy, and bounds what the host has written', () => {
  const gate = new PrivilegeGate({ settings, documents });
  const allowed = decision('allow', 'host', 'CreateContainer', 'listed');
  assert.equal(gate.decide(allowed, ordinary), allowed);
  const request = clone(CreateContainerRequestSchema, ordinary);
  device('/dev/fuse', 10n, 229n)(request);
  const { outcome, rule, reason, message } = gate.decide(allowed, request);
  assert.deepEqual(
    { outcome, rule, reason, message },
    {
      outcome: 'deny',
      rule: 'privileged_containers',
      reason: 'privileged_containers = "refuse": devices (/dev/fuse)',
      message: '[agent] devices may name it',
    },
  );
  for (let count = 0; count < 100; count += 1) device(`/dev/${'x'.repeat(9_000)}`, 10n, 1n)(request);
  request.sandboxPidns = true;
  const many = gate.decide(allowed, request);
  assert.ok(many.reason.length < 500, many.reason);
  assert.match(many.reason, /and 98 more/);
  assert.equal(many.message, 'only [agent] privileged_containers = "allow" lets it pass');
  const listed = decision('deny', 'host', 'CreateContainer', 'not listed');
  assert.equal(gate.decide(listed, request), listed);
  assert.equal(gate.decide(decision('allow', 'host', 'CopyFile', ''), request).outcome, 'allow');
});
