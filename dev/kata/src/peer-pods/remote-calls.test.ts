import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  WaitProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import {
  differenceFromCatalogue,
  recordedSequence,
  recordingOf,
  remoteContainers,
  sequenceOf,
} from './remote-calls.js';

const request = create(CreateSandboxRequestSchema, {});
const callsOf = (...methods: readonly string[]) => methods.map((method) => ({ method, request }));
/** Repeated calls that the sequence leaves out. */
const more = callsOf('Check', 'ReadStdout', 'ReadStderr', 'WaitProcess', 'GetOOMEvent');

test('a sequence has each run of a method once, without the repeated ones', () => {
  const calls = callsOf(
    'Check',
    'CopyFile',
    'CopyFile',
    'ReadStdout',
    'CopyFile',
    'CreateContainer',
    'CopyFile',
  );
  assert.deepEqual(sequenceOf(calls), ['CopyFile', 'CreateContainer', 'CopyFile']);
});

test('the recorded calls are those of the catalogue of calls for peer pods', () => {
  assert.deepEqual(differenceFromCatalogue([...callsOf(...recordedSequence), ...more]), []);
  const calls = callsOf(...recordedSequence.filter((method) => method !== 'GetGuestDetails'), 'UpdateRoutes');
  assert.deepEqual(differenceFromCatalogue([...calls, ...more]), [
    'UpdateRoutes is not in the catalogue',
    'GetGuestDetails was not called',
  ]);
});

test('containers are described without their IDs', () => {
  const place = '/run/kata-containers/c1/rootfs';
  const made = create(CreateContainerRequestSchema, {
    containerId: 'c1',
    storages: [{ driver: 'image_guest_pull', source: 'pause', mountPoint: place }],
    OCI: { Root: { Path: place }, Linux: { Namespaces: [{ Type: 'ipc' }, { Type: 'network', Path: '/x' }] } },
  });
  assert.deepEqual(remoteContainers([{ method: 'CreateContainer', request: made }, ...more]), [
    {
      root: '/run/kata-containers/ID/rootfs',
      rootStorage: {
        driver: 'image_guest_pull',
        source: 'pause',
        mountPoint: '/run/kata-containers/ID/rootfs',
      },
      namespaces: ['ipc', 'network=/x'],
    },
  ]);
});

test('a recording has no repeated calls, one executed command, and none of the values of its run', () => {
  const exec = (execId: string) => ({
    method: 'ExecProcess',
    request: create(ExecProcessRequestSchema, { execId }),
  });
  const calls = [
    { method: 'CreateSandbox', request: create(CreateSandboxRequestSchema, { sandboxId: 'pod-of-/tmp/x' }) },
    exec('first'),
    { method: 'WaitProcess', request: create(WaitProcessRequestSchema) },
    exec('second'),
  ];
  assert.deepEqual(JSON.parse(recordingOf(calls, [['/tmp/x', 'WORK']])), [
    { method: 'CreateSandbox', request: { sandboxId: 'pod-of-WORK' } },
    { method: 'ExecProcess', request: { execId: 'first' } },
  ]);
});
