import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMessage, type JsonObject } from '@bufbuild/protobuf';
import { sharedDirectory } from '@kata-agent/catalogue';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { parseImageConfig, readWorkloads } from '@kata-agent/workloads';
import { completed, type Expectation, withCopiedVolumes } from './genpolicy-completion.js';

const text = `
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  containers:
    - name: web
      image: "quay.io/web@sha256:${'a'.repeat(64)}"
      env: [{ name: COLOUR, value: blue }]
      livenessProbe: { exec: { command: [probe] } }
      volumeMounts:
        - { name: settings, mountPath: /settings }
        - { name: data, mountPath: /data }
        - { name: data, mountPath: /more }
  volumes:
    - { name: settings, configMap: { name: settings } }
    - { name: data, emptyDir: {} }
`;
const [workload] = readWorkloads([{ file: 'pod.yaml', text }]);
assert(workload !== undefined);
const config = { Entrypoint: ['/web'], Env: ['PATH=/bin'] };
const expectation: Expectation = {
  workload,
  setup: { runtime: 'go', guest: 'confidential' },
  images: new Map([[`quay.io/web@sha256:${'a'.repeat(64)}`, parseImageConfig(JSON.stringify({ config }))]]),
  nameOf: (id) => (id === 'id' ? 'web' : undefined),
  ownHostname: true,
};

function create(members: JsonObject, storages: readonly JsonObject[] = []): readonly unknown[][] {
  const Annotations = {
    'io.kubernetes.cri.container-name': 'web',
    'io.kubernetes.cri.container-type': 'container',
    'io.katacontainers.pkg.oci.bundle_path': '/run/id',
  };
  const request = completed(
    'CreateContainer',
    { OCI: { Annotations, ...members }, storages: [...storages] },
    expectation,
  );
  assert(isMessage(request, CreateContainerRequestSchema));
  return [
    (request.OCI?.Mounts ?? []).map(({ destination, source }) => [destination, source]),
    [...(request.OCI?.Process?.Env ?? [])],
  ];
}

test('a case gets the mounts and variables that it lacks, in the order of the engine', () => {
  const disk = '/run/kata-containers/sandbox/storage/Y2FzZQ==';
  const storage = { driver: 'blk', mount_point: disk, source: 'case', fstype: 'ext4' };
  const [mounts = [], variables] = create(
    {
      Mounts: [
        { destination: '/surplus', source: '/surplus', type_: 'bind' },
        { destination: '/more', source: disk, type_: 'bind' },
        { destination: '/proc', source: 'of the case', type_: 'proc' },
      ],
      Process: { Env: ['SURPLUS=1', 'PATH=/of/the/case'] },
    },
    [storage],
  );
  const destinations = mounts.map((mount) => (mount as readonly string[])[0]);
  assert.deepEqual(destinations.slice(0, 2), ['/proc', '/dev']);
  // By the number of parts of their paths.
  const pods = destinations.indexOf('/settings');
  assert.deepEqual(destinations.slice(pods, pods + 3), ['/settings', '/data', '/more']);
  assert(destinations.indexOf('/etc/hosts') > pods);
  assert.equal(destinations.at(-1), '/surplus');
  assert.deepEqual(mounts[0], ['/proc', 'of the case']);
  // Mounts of one volume have one source.
  assert.deepEqual(mounts.slice(pods + 1, pods + 3), [
    ['/data', disk],
    ['/more', disk],
  ]);
  assert(Array.isArray(variables));
  assert.equal(variables[0], 'PATH=/of/the/case');
  assert(variables.indexOf('COLOUR=blue') > 0);
  assert.equal(variables.at(-1), 'SURPLUS=1');
});

test('a disk of a case that nothing mounts is that of the missing mount', () => {
  const disk = '/run/kata-containers/sandbox/storage/Y2FzZQ==';
  const [mounts = []] = create({ Mounts: [] }, [{ driver: 'blk', mount_point: disk, source: 'case' }]);
  const first = mounts.findIndex((mount) => (mount as readonly string[])[0] === '/data');
  assert.deepEqual(mounts.slice(first, first + 2), [
    ['/data', disk],
    ['/more', disk],
  ]);
});

test('a case of ExecProcess gets the variables of its container, and the hostname only on demand', () => {
  const hostnameOf = (ownHostname: boolean): readonly string[] => {
    const request = { container_id: 'id', process: { Args: ['probe'], Env: ['HOSTNAME=other'] } };
    const message = completed('ExecProcess', request, { ...expectation, ownHostname });
    assert(isMessage(message, ExecProcessRequestSchema));
    return message.process?.Env ?? [];
  };
  assert(hostnameOf(true).includes('COLOUR=blue'));
  assert(hostnameOf(true).includes('HOSTNAME=web'));
  assert(hostnameOf(false).includes('HOSTNAME=other'));
});

test('a config map is mounted for each name that CopyFile cases copy and that no engine mounts', () => {
  const path = (name: string): string => `${sharedDirectory}/${'a'.repeat(64)}-${'b'.repeat(16)}-${name}`;
  const copied = withCopiedVolumes(workload, [
    path('foo/bar'),
    path('foo..'),
    path('resolv.conf'),
    '/etc/ssl',
  ]);
  assert.deepEqual(copied.containers[0]?.mounts.map(({ mountPath }) => mountPath).slice(3), [
    '/foo',
    '/foo..',
  ]);
  assert.equal(copied.volumes.get('foo')?.kind, 'configMap');
});

test('a file type of a CopyFile case becomes its mode', () => {
  const modeOf = (type: string): number => {
    const request = completed('CopyFile', { path: '/x', file_type: type }, expectation);
    assert(isMessage(request, CopyFileRequestSchema));
    return request.fileMode & 0o170000;
  };
  assert.deepEqual(
    ['Regular', 'Directory', 'Symlink', 'Unknown'].map(modeOf),
    [0o100000, 0o40000, 0o120000, 0o20000],
  );
});
