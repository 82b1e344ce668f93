import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { clone, create, isMessage, type Message } from '@bufbuild/protobuf';
import { requestSchema, SandboxView } from '@kata-agent/analysis';
import { expectedCalls, readWorkloads } from '@kata-agent/workloads';
import type { MethodName } from '@kata-agent/catalogue';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  UpdateContainerRequestSchema,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';
import type { LinuxResources, Process } from '@kata-agent/protocol/oci';
import { repository } from '../harness/repository.js';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { authorizerWith } from './expected-requests.js';
import { fieldMutations } from './field-mutations.js';

const shared = '/run/kata-containers/shared/containers';

/** Requests that every file of `examples/rules` allows. */
function requests(): ReadonlyMap<MethodName, Message> {
  const text = `kind: Pod
spec:
  containers:
    - { name: web, image: registry.example.com/shop/web:1, command: [/bin/web], volumeMounts: [{ name: data, mountPath: /data }] }
  volumes: [{ name: data, emptyDir: { medium: Memory } }]
`;
  const [workload] = readWorkloads([{ file: 'pod.yaml', text }]);
  assert.ok(workload !== undefined);
  const calls = expectedCalls(workload, { runtime: 'go', guest: 'shared-fs' });
  const container = calls.findLast(({ method }) => method === 'CreateContainer')?.request;
  assert.ok(container !== undefined && isMessage(container, CreateContainerRequestSchema));
  assert.ok(container.OCI?.Linux !== undefined && container.OCI.Process !== undefined);
  container.OCI.Linux.Devices = [
    {
      $typeName: 'grpc.LinuxDevice',
      Path: '/dev/null',
      Type: 'c',
      Major: 1n,
      Minor: 3n,
      FileMode: 0,
      UID: 0,
      GID: 0,
    },
  ];
  const mounts = calls.find(({ method }) => method === 'CreateSandbox')?.request;
  assert.ok(mounts !== undefined);
  return new Map<MethodName, Message>([
    ['CreateSandbox', mounts],
    ['CreateContainer', container],
    [
      'ExecProcess',
      create(ExecProcessRequestSchema, {
        containerId: container.containerId,
        process: container.OCI.Process,
      }),
    ],
    [
      'UpdateContainer',
      create(UpdateContainerRequestSchema, { containerId: container.containerId, resources: {} }),
    ],
    [
      'CopyFile',
      create(CopyFileRequestSchema, {
        path: `${shared}/a/..data`,
        fileMode: 0o120777,
        data: Buffer.from('b'),
      }),
    ],
    [
      'UpdateEphemeralMounts',
      create(UpdateEphemeralMountsRequestSchema, {
        storages: [
          {
            driver: 'ephemeral',
            source: 'tmpfs',
            fstype: 'tmpfs',
            mountPoint: '/run/kata-containers/sandbox/ephemeral/data',
            options: ['remount', 'size=1M'],
          },
        ],
      }),
    ],
  ]);
}

const usual = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'
    .split(' ')
    .map((name) => `CAP_${name}`),
);
const devices = new Map([
  ['/dev/null', '1:3'],
  ['/dev/zero', '1:5'],
  ['/dev/full', '1:7'],
  ['/dev/random', '1:8'],
  ['/dev/urandom', '1:9'],
  ['/dev/tty', '5:0'],
]);

function processOf(request: Message): Process | undefined {
  if (isMessage(request, CreateContainerRequestSchema)) return request.OCI?.Process;
  return isMessage(request, ExecProcessRequestSchema) ? request.process : undefined;
}

function resourcesOf(request: Message): LinuxResources | undefined {
  if (isMessage(request, CreateContainerRequestSchema)) return request.OCI?.Linux?.Resources;
  return isMessage(request, UpdateContainerRequestSchema) ? request.resources : undefined;
}

/** Reports whether a path is clean: no empty name, `.` or `..` in it. */
function isBelow(path: string, directory: string): boolean {
  return (
    path.startsWith(`${directory}/`) &&
    path
      .slice(1)
      .split('/')
      .every((name) => !['', '.', '..'].includes(name))
  );
}

/** Reports whether a request does what the file claims to prevent, independently of its rules. */
const prevented: Readonly<Record<string, (request: Message) => boolean>> = {
  'capabilities-and-devices': (request) => {
    const sets = processOf(request)?.Capabilities;
    const names = [sets?.Bounding, sets?.Effective, sets?.Permitted, sets?.Inheritable, sets?.Ambient];
    if (names.flat().some((name) => name !== undefined && !usual.has(name))) return true;
    if (!isMessage(request, CreateContainerRequestSchema)) return false;
    const nodes = request.OCI?.Linux?.Devices ?? [];
    return (
      request.devices.length > 0 ||
      nodes.some(({ Path, Type, Major, Minor }) => Type !== 'c' || devices.get(Path) !== `${Major}:${Minor}`)
    );
  },
  'claimed-images': (request) => {
    if (!isMessage(request, CreateContainerRequestSchema)) return false;
    const image = request.OCI?.Annotations['io.kubernetes.cri.image-name'] ?? '';
    const engines = [
      '/proc',
      '/dev',
      '/sys',
      '/etc/hosts',
      '/etc/hostname',
      '/etc/resolv.conf',
      '/var/run/secrets',
    ];
    const places = (request.OCI?.Mounts ?? []).map(({ destination }) => destination);
    return (
      !image.startsWith('registry.example.com/shop/') ||
      places.some((place) => ![...engines, '/data'].some((each) => place === each || isBelow(place, each)))
    );
  },
  'copy-file': (request) => {
    if (!isMessage(request, CopyFileRequestSchema)) return false;
    const target = Buffer.from(request.data).toString();
    const type = request.fileMode & 0o170000;
    const leads = target.startsWith('/') || target.split('/').includes('..');
    return (
      !isBelow(request.path, shared) ||
      ![0, 0o100000, 0o040000, 0o120000].includes(type) ||
      (type === 0o120000 && leads)
    );
  },
  limits: (request) => {
    const { Memory, CPU, Pids } = resourcesOf(request) ?? {};
    const beyond = (value: bigint | undefined, max: bigint): boolean =>
      value !== undefined && (value < 0n || value > max);
    return (
      beyond(Memory?.Limit, 4n << 30n) ||
      beyond(CPU?.Quota, 400_000n) ||
      beyond(Pids?.Limit, 1024n) ||
      (CPU !== undefined && CPU.Period !== 0n && CPU.Period < 100_000n)
    );
  },
  'no-new-mounts': (request) => {
    if (isMessage(request, CreateContainerRequestSchema)) return request.sharedMounts.length > 0;
    if (!isMessage(request, UpdateEphemeralMountsRequestSchema)) return false;
    return request.storages.some(
      ({ driver, fstype, source, mountPoint, options, driverOptions, fsGroup, shared: kept }) =>
        driver !== 'ephemeral' ||
        fstype !== 'tmpfs' ||
        source !== 'tmpfs' ||
        !isBelow(mountPoint, '/run/kata-containers/sandbox/ephemeral') ||
        options.some((option) => option !== 'remount' && !/^(size|nr_inodes)=/.test(option)) ||
        driverOptions.length > 0 ||
        fsGroup !== undefined ||
        kept,
    );
  },
  'storage-drivers': (request) => {
    const has =
      isMessage(request, CreateContainerRequestSchema) ||
      isMessage(request, CreateSandboxRequestSchema) ||
      isMessage(request, UpdateEphemeralMountsRequestSchema);
    const listed = ['virtio-fs', 'overlayfs', 'local', 'ephemeral', 'watchable-bind', 'bind'];
    return has && request.storages.some(({ driver }) => !listed.includes(driver));
  },
};

for (const [name, isPrevented] of Object.entries(prevented)) {
  test(`examples/rules/${name}.toml denies everything that it claims to prevent`, async (t) => {
    const text = readFileSync(join(repository, 'examples', 'rules', `${name}.toml`), 'utf8');
    const configuration = await loadedConfiguration(text);
    // A file is about one thing: which methods it leaves open is for the configuration that it is copied into.
    const others = configuration.warnings.filter(({ code }) => code !== 'KA1210');
    assert.deepEqual(others, []);
    const authorizer = authorizerWith(configuration);
    const view = new SandboxView(authorizer.listeners);
    const counts = { tried: 0, prevented: 0 };
    for (const [method, request] of requests()) {
      const decide = (asked: Message): string =>
        authorizer.decide(method, asked, view.context({ method, request: asked })).outcome;
      const served = configuration.api.documents[0]?.allowed?.has(method) === true;
      if (!served) continue;
      assert.equal(isPrevented(request), false, method);
      assert.equal(decide(request), 'allow', `${method} unchanged`);
      for (const mutation of fieldMutations(requestSchema(method), request)) {
        const changed = clone(requestSchema(method), request);
        mutation.apply(changed);
        counts.tried += 1;
        if (!isPrevented(changed)) continue;
        counts.prevented += 1;
        assert.equal(
          decide(changed),
          'deny',
          `${method} ${mutation.field} ${mutation.kind} ${mutation.detail}`,
        );
      }
    }
    t.diagnostic(`${counts.tried} mutations, ${counts.prevented} of what it prevents, all denied`);
    assert.ok(counts.prevented > 10, String(counts.prevented));
  });
}
