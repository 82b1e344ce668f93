import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { methodNames } from '@kata-agent/catalogue';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  SetPolicyRequestSchema,
  SignalProcessRequestSchema,
  UpdateEphemeralMountsRequestSchema,
  WriteStreamRequestSchema,
} from '@kata-agent/protocol/agent';
import { requestDescriptor } from '../rules/names/call-names.js';
import { factsOf } from './facts-of.js';

const process = {
  Args: ['/bin/sh', '-c', 'of a record'],
  Env: ['TOKEN=secret', 'PATH=/bin', 'NAMELESS-SECRET', '=secret', 'PATH=twice'],
  Cwd: '/app',
  User: { UID: 7, GID: 8 },
  Terminal: true,
  Capabilities: { Bounding: ['CAP_KILL', 'CAP_CHOWN'], Ambient: ['CAP_KILL'] },
};
const processFacts = {
  command: '/bin/sh',
  arguments: ['/bin/sh', '-c', 'of a record'],
  environment: ['PATH', 'TOKEN'],
  cwd: '/app',
  user: '7:8',
  terminal: true,
  capabilities: ['CAP_CHOWN', 'CAP_KILL'],
};
const storage = { driver: 'local', source: 'secret', fstype: 'local', options: ['secret'], mountPoint: '/m' };
const storageFacts = [{ driver: 'local', type: 'local', mountPoint: '/m' }];

test('facts of a container: process, mounts, storages, devices and image, without values', () => {
  const request = create(CreateContainerRequestSchema, {
    storages: [storage],
    OCI: {
      Process: process,
      Mounts: [{ type: 'bind', source: '/a', destination: '/b', options: ['secret'] }],
      Annotations: { 'io.kubernetes.cri.image-name': 'nginx:1', other: 'secret' },
      Linux: { Devices: [{ Type: 'c', Path: '/dev/null' }] },
    },
  });
  assert.deepEqual(factsOf('CreateContainer', request), {
    ...processFacts,
    mounts: [{ type: 'bind', source: '/a', destination: '/b' }],
    storages: storageFacts,
    devices: [{ type: 'c', path: '/dev/null' }],
    image: 'nginx:1',
  });
});

test('facts of other requests', () => {
  assert.deepEqual(factsOf('ExecProcess', create(ExecProcessRequestSchema, { process })), processFacts);
  assert.deepEqual(factsOf('ExecProcess', create(ExecProcessRequestSchema)), {});
  const storages = { storages: [storage] };
  const sandbox = create(CreateSandboxRequestSchema, storages);
  assert.deepEqual(factsOf('CreateSandbox', sandbox), { storages: storageFacts });
  const mounts = create(UpdateEphemeralMountsRequestSchema, storages);
  assert.deepEqual(factsOf('UpdateEphemeralMounts', mounts), { storages: storageFacts });
  const copy = create(CopyFileRequestSchema, { path: '/p', data: Buffer.from('secret') });
  assert.deepEqual(factsOf('CopyFile', copy), { path: '/p' });
  assert.deepEqual(factsOf('SignalProcess', create(SignalProcessRequestSchema, { signal: 9 })), {
    signal: 9,
  });
  assert.deepEqual(factsOf('SetPolicy', create(SetPolicyRequestSchema, { policy: 'secret' })), {});
  const stdin = create(WriteStreamRequestSchema, { data: Buffer.from('secret') });
  assert.deepEqual(factsOf('WriteStdin', stdin), {});
});

test('every method has facts, possibly none, and a request of another type has none', () => {
  const other = create(WriteStreamRequestSchema, { containerId: 'c1' });
  for (const method of methodNames) {
    assert.deepEqual(factsOf(method, other), {}, method);
    assert.ok(!JSON.stringify(factsOf(method, create(requestDescriptor(method)))).includes('undefined'));
  }
});

test('an absent working directory becomes the guest’s default', () => {
  const request = create(ExecProcessRequestSchema, { process: { Args: ['sh'] } });
  assert.equal(factsOf('ExecProcess', request).cwd, '/');
});
