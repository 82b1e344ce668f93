import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentSettings, Configuration } from '@kata-agent/config';
import { defaultDevices as ofGate } from '@kata-agent/gate';
import { defaultDevices as ofGuest } from '@kata-agent/guest';
import { guestAccess } from './guest-access.js';

const unset = {
  privilegedContainers: undefined,
  devices: [],
  guestPaths: [],
  networkNamespaces: [],
  kernelModules: [],
  sysctls: [],
} as unknown as AgentSettings;

const evidence = { sources: [], require: [], akCertificate: 'off' } as const;
const documents = [{}] as unknown as Configuration['documents'];

test('privileged containers are denied with a configuration, and allowed without one', () => {
  assert.equal(guestAccess({ settings: unset, documents, evidence }).privileged, 'refuse');
  assert.equal(guestAccess({ settings: unset, documents: [], evidence }).privileged, 'allow');
  assert.equal(
    guestAccess({ settings: { ...unset, privilegedContainers: 'allow' }, documents, evidence }).privileged,
    'allow',
  );
  assert.equal(
    guestAccess({ settings: { ...unset, privilegedContainers: 'refuse' }, documents: [], evidence })
      .privileged,
    'refuse',
  );
});

test('each entry is split into its parts', () => {
  const settings: AgentSettings = {
    ...unset,
    devices: ['/dev/fuse', 'c 10:200', 'nvidia.com/gpu=0'],
    guestPaths: ['/opt/models', 'rw:/var/cache'],
    networkNamespaces: ['/run/netns/podns'],
    kernelModules: ['ib_core', 'nf_conntrack hashsize=65536 x'],
    sysctls: ['net.core.somaxconn'],
  };
  assert.deepEqual(guestAccess({ settings, documents, evidence }), {
    privileged: 'refuse',
    evidencePaths: 'allow',
    devices: [
      { kind: 'path', path: '/dev/fuse' },
      { kind: 'number', major: 10, minor: 200 },
      { kind: 'cdi', name: 'nvidia.com/gpu=0' },
    ],
    paths: [
      { path: '/opt/models', writable: false },
      { path: '/var/cache', writable: true },
    ],
    networkNamespaces: ['/run/netns/podns'],
    modules: [
      { name: 'ib_core', parameters: [] },
      { name: 'nf_conntrack', parameters: ['hashsize=65536', 'x'] },
    ],
    sysctls: ['net.core.somaxconn'],
  });
});

test('rules and the guest have the same defaults', () => {
  const numbers = Array.from(ofGuest, ([path, { major, minor }]) => [path, `${major}:${minor}`]);
  assert.deepEqual(numbers, [...ofGate]);
});

test('with sources of evidence containers mount none of what gives some', () => {
  const given = { ...evidence, sources: ['tpm'] } as const;
  assert.equal(guestAccess({ settings: unset, documents: [], evidence: given }).evidencePaths, 'refuse');
});
