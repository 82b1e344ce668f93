import { allow, deny, type PrivilegedReason, privilegedReasons } from '@kata-agent/catalogue';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  clone,
  create,
  fromJson,
  type JsonValue,
  type Message,
  type MessageInitShape,
} from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  DeviceSchema,
  ExecProcessRequestSchema,
  UpdateContainerRequestSchema,
} from '@kata-agent/protocol/agent';
import { LinuxDeviceCgroupSchema, LinuxDeviceSchema, MountSchema } from '@kata-agent/protocol/oci';
import type { Configuration } from '@kata-agent/config';
import { type PrivilegeAccess, noAccess } from './privilege.js';
import { privilegesOf, reasonsOf } from './privileges-of.js';
import { PrivilegeGate, privilegedContainers } from './refuse-privileged.js';

// The request of containerd and Kata for a web server.
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

test('a runtime’s request for an ordinary container has no reason', () => {
  assert.deepEqual(
    reasons(() => undefined),
    [],
  );
  assert.deepEqual(privilegesOf(create(ExecProcessRequestSchema, { process: { Args: ['sh'] } })), []);
});

const network = (Path: string): Change => {
  return ({ OCI }) => {
    const [first] = OCI?.Linux?.Namespaces ?? [];
    if (first !== undefined) OCI?.Linux?.Namespaces.push({ ...first, Type: 'network', Path });
  };
};

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
    ...['/sys/fs/cgroup', '/sys', '/proc/self', '//proc/'].map((destination) =>
      mount({ type: 'bind', destination, source: '/run/kata-containers/shared/containers/v' }),
    ),
    mount({ type: 'tmpfs', destination: '/sys/x', source: 'tmpfs' }),
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
  'network-namespace': [network('/run/netns/podns'), network('/proc/1/ns/net')],
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
  test(`${reason} is a reason, and the only one reported`, () => {
    assert.ok(changes[reason].length > 0);
    for (const change of changes[reason]) assert.deepEqual(reasons(change), [reason], String(change));
  });
}

test('only what the configuration opens is exempt', () => {
  const access = {
    devices: ['/dev/fuse', 'c 10:200'],
    guestPaths: ['/opt/models', 'rw:/var/cache'],
    networkNamespaces: ['/run/netns/podns'],
    capabilities: ['CAP_NET_ADMIN'],
    shareProcesses: true,
    userNamespaces: true,
  };
  const bind = (source: string, option: string): Change =>
    mount({ type: 'bind', destination: '/m', source, options: ['rbind', option] });
  for (const change of [
    device('/dev/fuse', 99n, 1n),
    device('/dev/net/tun', 10n, 200n),
    bind('/opt/models/a', 'ro'),
    bind('/var/cache', 'rw'),
    network('/run/netns/podns'),
  ])
    assert.deepEqual(reasons(change, access), [], String(change));
  for (const change of [bind('/opt/models', 'rw'), bind('/opt/models2', 'ro'), bind('/opt/models/..', 'ro')])
    assert.deepEqual(reasons(change, access), ['guest-paths'], String(change));
  for (const change of [
    network('/run/netns/other'),
    network('/run/netns/podns/'),
    network('/run//netns/podns'),
  ])
    assert.deepEqual(reasons(change, access), ['network-namespace'], String(change));
  assert.deepEqual(reasons(device('/dev/fuse2', 10n, 229n), access), ['devices']);
});

test('a CDI device of an annotation must be in the configuration by name', () => {
  const annotate =
    (annotations: Readonly<Record<string, string>>): Change =>
    ({ OCI }) => {
      if (OCI) Object.assign(OCI.Annotations, annotations);
    };
  const access = { ...noAccess, devices: ['nvidia.com/gpu=0'] };
  const gpus = (value: string) => annotate({ 'cdi.k8s.io/vfio17': value });
  assert.deepEqual(reasons(gpus('nvidia.com/gpu=0')), ['devices']);
  assert.deepEqual(reasons(gpus('nvidia.com/gpu=0'), access), []);
  for (const other of ['nvidia.com/gpu=1', 'nvidia.com/gpu=0,nvidia.com/gpu=1', 'nvidia.com/gpu=0 ', ''])
    assert.deepEqual(reasons(gpus(other), access), ['devices'], other);
  const ofPod = { 'io.katacontainers.pkg.oci.container_type': 'pod_sandbox', 'cdi.k8s.io/x': 'a.b/c=0' };
  assert.deepEqual(reasons(annotate(ofPod)), []);
});

test('a node is not privileged if the request attaches a VFIO group there; a disk is no character device', () => {
  const attached =
    (type: string): Change =>
    (request) => {
      request.devices.push(create(DeviceSchema, { type, containerPath: '/dev/vfio/41' }));
      device('/dev/vfio/41', 243n, 7n)(request);
    };
  assert.deepEqual(reasons(attached('vfio-pci')), []);
  for (const other of ['vfio-pci-gk', 'blk', ''])
    assert.deepEqual(reasons(attached(other)), ['devices'], other);
});

test('a capability, the processes of the pod and user namespaces are opened by their own keys, and nothing else by them', () => {
  const add =
    (set: 'Bounding' | 'Ambient' | 'Effective', name: string): Change =>
    ({ OCI }) =>
      void OCI?.Process?.Capabilities?.[set].push(name);
  const admin = { ...noAccess, capabilities: ['CAP_NET_ADMIN'] };
  for (const set of ['Bounding', 'Ambient', 'Effective'] as const) {
    assert.deepEqual(reasons(add(set, 'CAP_NET_ADMIN'), admin), [], set);
    assert.deepEqual(reasons(add(set, 'CAP_NET_ADMIN')), ['capabilities'], set);
    assert.deepEqual(reasons(add(set, 'CAP_SYS_ADMIN'), admin), ['capabilities'], set);
  }
  for (const [reason, key] of [
    ['shared-processes', 'shareProcesses'],
    ['user-namespace', 'userNamespaces'],
  ] as const)
    for (const other of Object.keys(changes) as PrivilegedReason[])
      for (const change of changes[other])
        assert.deepEqual(reasons(change, { ...noAccess, [key]: true }), other === reason ? [] : [other]);
});

test('an exec may have the capabilities that the configuration opens', () => {
  const exec = create(ExecProcessRequestSchema, {
    process: { Capabilities: { Effective: ['CAP_NET_ADMIN'] } },
  });
  assert.deepEqual(reasonsOf(privilegesOf(exec)), ['capabilities']);
  assert.deepEqual(privilegesOf(exec, { ...noAccess, capabilities: ['CAP_NET_ADMIN'] }), []);
});

test('a denial names the keys that can allow it, except for a capability that no key can', () => {
  const gate = new PrivilegeGate({ settings: { ...noAccess, privilegedContainers: undefined }, documents });
  const messageOf = (...names: readonly string[]): string => {
    const request = clone(CreateContainerRequestSchema, ordinary);
    request.sandboxPidns = true;
    request.OCI?.Process?.Capabilities?.Effective.push(...names);
    return gate.decide(allow('host', 'CreateContainer', 'listed'), request).message ?? '';
  };
  assert.equal(messageOf('CAP_NET_ADMIN'), '[agent] capabilities and share_processes can allow it');
  assert.match(messageOf('CAP_NET_ADMIN', 'CAP_BPF'), /^only \[agent\] privileged_containers = "allow"/);
});

const settings = { ...noAccess, privilegedContainers: undefined };
const documents = [{}] as unknown as Parameters<typeof privilegedContainers>[0]['documents'];

test('privileged containers are denied when there is a document, unless it says otherwise', () => {
  assert.equal(privilegedContainers({ settings, documents }), 'refuse');
  assert.equal(privilegedContainers({ settings, documents: [] }), 'allow');
  const allowed = { ...settings, privilegedContainers: 'allow' } as const;
  assert.equal(privilegedContainers({ settings: allowed, documents }), 'allow');
});

test('a denial names key, reasons and remedy, and limits the text from the host', () => {
  const gate = new PrivilegeGate({ settings, documents });
  const allowed = allow('host', 'CreateContainer', 'listed');
  assert.equal(gate.decide(allowed, ordinary), allowed);
  const request = clone(CreateContainerRequestSchema, ordinary);
  device('/dev/fuse', 10n, 229n)(request);
  const { outcome, code, rule, reason, message } = gate.decide(allowed, request);
  assert.deepEqual(
    { outcome, code, rule, reason, message },
    {
      outcome: 'deny',
      code: 'KA3103',
      rule: 'privileged_containers',
      reason: 'privileged_containers = "refuse": devices (/dev/fuse)',
      message: '[agent] devices can allow it',
    },
  );
  for (let count = 0; count < 100; count += 1) device(`/dev/${'x'.repeat(9_000)}`, 10n, 1n)(request);
  if (request.OCI?.Process) request.OCI.Process.OOMScoreAdj = -999n;
  const many = gate.decide(allowed, request);
  assert.ok(many.reason.length < 500, many.reason);
  assert.match(many.reason, /and 98 more/);
  assert.equal(many.message, 'only [agent] privileged_containers = "allow" allows it');
  const listed = deny('KA3001', 'host', 'CreateContainer', 'not listed');
  assert.equal(gate.decide(listed, request), listed);
  assert.equal(gate.decide(allow('host', 'CopyFile', ''), request).outcome, 'allow');
});

test('with an inner agent, what this agent prevents by its own work is denied as well', () => {
  const settings = { ...noAccess, privilegedContainers: undefined };
  const forward = 'unix:///run/inner.sock';
  const documents = [{}] as unknown as Configuration['documents'];
  const gates = [
    new PrivilegeGate({ settings: { ...settings, forward }, documents }),
    new PrivilegeGate({ settings, documents }),
  ];
  const outcomes = (method: string, request: Message): readonly string[] =>
    gates.map((gate) => {
      const { outcome, reason } = gate.decide(allow('host', method, ''), request);
      return outcome === 'allow' ? outcome : reason.replace('privileged_containers = "refuse": ', '');
    });
  const created = (change: Change): readonly string[] => {
    const request = clone(CreateContainerRequestSchema, ordinary);
    change(request);
    return outcomes('CreateContainer', request);
  };
  const root = (Path: string): Change => {
    return ({ OCI }) => {
      if (OCI?.Root !== undefined) OCI.Root.Path = Path;
    };
  };
  const both = ['allow', 'allow'];
  assert.deepEqual(
    created(() => undefined),
    both,
  );
  assert.deepEqual(created(root('/run/kata-containers/c1/rootfs')), both);
  for (const path of ['/', '/run', '/run/kata-containers/../kata-containers-inner'])
    assert.deepEqual(created(root(path)), [`guest-paths (root file system ${path})`, 'allow']);
  const destination = '/guest';
  for (const type of ['overlay', 'ext4', '9p', 'BIND', ''])
    assert.deepEqual(created(mount({ type, source: '/dev/vda1', destination, options: ['lowerdir=/'] })), [
      `kernel-filesystem (${type} at /guest)`,
      'allow',
    ]);
  const source = '/run/kata-containers/shared/x';
  assert.deepEqual(created(mount({ type: 'local', source, destination, options: ['rbind'] })), both);
  const updated = (...Devices: MessageInitShape<typeof LinuxDeviceCgroupSchema>[]): readonly string[] =>
    outcomes('UpdateContainer', create(UpdateContainerRequestSchema, { resources: { Devices } }));
  assert.deepEqual(updated(), both);
  assert.deepEqual(updated({ Allow: false, Type: 'a', Access: 'rwm' }), both);
  assert.deepEqual(updated({ Allow: true, Type: 'c', Major: 1n, Minor: 3n, Access: 'rwm' }), both);
  assert.deepEqual(updated({ Allow: true, Type: 'b', Major: 254n, Minor: 0n, Access: 'rwm' }), [
    'devices (b 254:0)',
    'allow',
  ]);
  assert.deepEqual(updated({ Allow: true, Access: 'rwm' }), ['all-devices (a 0:0)', 'allow']);
});
