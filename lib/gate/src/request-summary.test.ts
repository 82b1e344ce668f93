import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { methodNames } from '@kata-agent/catalogue';
import {
  AddARPNeighborsRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  SetGuestDateTimeRequestSchema,
  CopyFileRequestSchema,
  SetIPTablesRequestSchema,
  UpdateInterfaceRequestSchema,
  UpdateRoutesRequestSchema,
} from '@kata-agent/protocol/agent';
import { requestDescriptor } from './rules/names/call-names.js';
import { noAccess } from './privileged/privilege.js';
import { summaryOf } from './request-summary.js';

const container = create(CreateContainerRequestSchema, {
  containerId: 'c',
  storages: [
    { driver: 'blk', source: '0/1', options: ['secret'], driverOptions: ['secret'], mountPoint: '/run/m' },
  ],
  devices: [{ id: 'secret', type: 'blk', vmPath: '/dev/vdb', containerPath: '/dev/data' }],
  sharedMounts: [{ name: 'secret', srcCtr: 'one', srcPath: '/a', dstCtr: 'c', dstPath: '/b' }],
  OCI: {
    Process: {
      Args: ['/bin/sh', 'secret'],
      Env: ['TOKEN=secret'],
      User: { UID: 7, GID: 8 },
      Capabilities: { Bounding: ['CAP_SYS_ADMIN', 'CAP_CHOWN'], Ambient: ['CAP_BPF'] },
    },
    Mounts: [{ type: 'bind', source: '/s', destination: '/d', options: ['secret'] }],
    Annotations: { 'io.kubernetes.cri.image-name': 'nginx:1', other: 'secret' },
    Linux: {
      Devices: [{ Type: 'c', Path: '/dev/fuse' }],
      Namespaces: [{ Type: 'pid' }, { Type: 'network', Path: '/proc/1/ns/net' }],
    },
  },
});

test('summary of a container: sources, mount points, image, devices, and additional privileges', () => {
  assert.deepEqual(summaryOf(container), {
    image: 'nginx:1',
    user: '7:8',
    capabilities: ['CAP_BPF', 'CAP_SYS_ADMIN'],
    namespaces: ['pid', 'network=/proc/1/ns/net'],
    mounts: [{ type: 'bind', source: '/s', destination: '/d' }],
    storages: [{ driver: 'blk', source: '0/1', mountPoint: '/run/m' }],
    sharedMounts: [{ source: 'one:/a', destination: '/b' }],
    devices: [
      { type: 'c', path: '/dev/fuse' },
      { type: 'blk', path: '/dev/data' },
    ],
    privileges: [
      'capabilities',
      'unmasked-paths',
      'kernel-filesystem',
      'guest-paths',
      'host-namespaces',
      'network-namespace',
      'shared-mounts',
      'devices',
    ],
  });
  const { privileges } = summaryOf(container, {
    ...noAccess,
    devices: ['/dev/fuse'],
    guestPaths: ['rw:/s'],
  });
  assert.deepEqual(privileges, [
    'capabilities',
    'unmasked-paths',
    'kernel-filesystem',
    'host-namespaces',
    'network-namespace',
    'shared-mounts',
  ]);
  assert.equal(JSON.stringify(summaryOf(container)).includes('secret'), false);
});

test('summary of a network change: its values; of a packet filter its size and digest', () => {
  const link = create(UpdateInterfaceRequestSchema, {
    interface: {
      name: 'eth0',
      device: 'ens3',
      hwAddr: '02:00:00:00:00:01',
      mtu: 1500n,
      IPAddresses: [{ address: '10.0.0.2', mask: '24' }],
    },
  });
  assert.deepEqual(summaryOf(link), {
    interface: {
      name: 'eth0',
      device: 'ens3',
      hardwareAddress: '02:00:00:00:00:01',
      mtu: '1500',
      addresses: ['10.0.0.2/24'],
    },
  });
  const routes = create(UpdateRoutesRequestSchema, {
    routes: { Routes: [{ dest: '127.0.0.0/8', gateway: '10.0.0.1', device: 'eth0', source: '10.0.0.2' }] },
  });
  assert.deepEqual(summaryOf(routes), {
    routes: [{ destination: '127.0.0.0/8', gateway: '10.0.0.1', device: 'eth0', source: '10.0.0.2' }],
  });
  const neighbours = create(AddARPNeighborsRequestSchema, {
    neighbors: { ARPNeighbors: [{ toIPAddress: { address: '10.0.0.1' }, device: 'eth0', lladdr: '02::1' }] },
  });
  assert.deepEqual(summaryOf(neighbours), {
    neighbours: [{ address: '10.0.0.1', device: 'eth0', hardwareAddress: '02::1' }],
  });
  const filter = create(SetIPTablesRequestSchema, { isIpv6: true, data: Buffer.from('*filter') });
  const { packetFilter } = summaryOf(filter);
  assert.deepEqual(
    { ...packetFilter, sha256: packetFilter?.sha256.length },
    { family: 'ipv6', bytes: '7', sha256: 64 },
  );
});

test('summary of a sandbox: storages and kernel modules; of an exec: its user; of others: empty', () => {
  const sandbox = create(CreateSandboxRequestSchema, {
    storages: [{ driver: 'virtio-fs', source: 'kataShared', mountPoint: '/run/s' }],
    kernelModules: [{ name: 'nf_conntrack', parameters: ['hashsize=1'] }],
  });
  assert.deepEqual(summaryOf(sandbox), {
    storages: [{ driver: 'virtio-fs', source: 'kataShared', mountPoint: '/run/s' }],
    kernelModules: ['nf_conntrack hashsize=1'],
  });
  const exec = create(ExecProcessRequestSchema, { process: { User: { UID: 3, GID: 4 }, Args: ['sh'] } });
  assert.deepEqual(summaryOf(exec), { user: '3:4' });
  const empty = (method: (typeof methodNames)[number]): Message => create(requestDescriptor(method));
  const some = methodNames.filter((method) => Object.keys(summaryOf(empty(method))).length > 0);
  assert.deepEqual([...some].sort(), [
    'AddARPNeighbors',
    'CopyFile',
    'SetGuestDateTime',
    'SetIPTables',
    'UpdateRoutes',
  ]);
});

test('summary of a file: path, mode with its type, size and owner, never content', () => {
  const file = create(CopyFileRequestSchema, {
    path: '/run/kata-containers/shared/containers/c-x',
    fileMode: 0o104755,
    fileSize: 9n,
    uid: 1,
    gid: 2,
    data: Buffer.from('secret'),
  });
  const path = file.path;
  assert.deepEqual(summaryOf(file), { file: { path, mode: '104755', size: '9', owner: '1:2' } });
  const piece = create(CopyFileRequestSchema, { ...file, offset: 3n });
  assert.deepEqual(summaryOf(piece), {
    file: { path, mode: '104755', size: '9', owner: '1:2', offset: '3' },
  });
});

test('summary of a change of the clock: the requested time, also one that no clock has', () => {
  const summary = (Sec: bigint, Usec = 0n) => summaryOf(create(SetGuestDateTimeRequestSchema, { Sec, Usec }));
  assert.deepEqual(summary(1_800_000_000n, 250_999n), { time: '2027-01-15T08:00:00.250Z' });
  assert.deepEqual(summary(2n ** 63n - 1n, -1n), { time: '9223372036854775807 seconds, -1 microseconds' });
  assert.deepEqual(summary(8_639_999_999_999n, 999_999n), { time: '+275760-09-12T23:59:59.999Z' });
  assert.deepEqual(summary(8_640_000_000_000n), { time: '8640000000000 seconds, 0 microseconds' });
});
