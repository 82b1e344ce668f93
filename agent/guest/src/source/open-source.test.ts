import assert from 'node:assert/strict';
import { test } from 'node:test';
import { givesEvidence } from './open-source.js';

const usual = [
  { target: '/sys', type: 'sysfs' },
  { target: '/sys/kernel/config', type: 'configfs' },
  { target: '/dev', type: 'devtmpfs' },
  { target: '/dev/shm', type: 'tmpfs' },
];

const giving = [
  '/',
  '/dev',
  '/sys',
  '/sys/kernel',
  '/sys/kernel/config',
  '/sys/kernel/config/tsm/report',
  '/run',
  '/run/confidential-containers',
  '/run/confidential-containers/attestation-agent',
  '/run/confidential-containers/attestation-agent/attestation-agent.sock',
];
const others = [
  '/dev/shm',
  '/dev/null',
  '/dev/fuse',
  '/sys/fs/cgroup',
  '/sys/kernel/debug',
  '/sys/kernel/config2',
  '/devices',
  '/run/confidential-containers/cdh.sock',
  '/opt',
];

test('configfs, the directory of devices, the attestation agent and their parents give evidence, whatever is mounted', () => {
  for (const mounts of [usual, []]) {
    for (const path of giving) assert.equal(givesEvidence(path, mounts), true, path);
    for (const path of others) assert.equal(givesEvidence(path, mounts), false, path);
  }
});

test('configfs and devtmpfs give evidence at any mount point', () => {
  const mounts = [
    { target: '/mnt/a/config', type: 'configfs' },
    { target: '/mnt/b/dev', type: 'devtmpfs' },
    { target: '/mnt/c/data', type: 'ext4' },
  ];
  for (const path of ['/mnt', '/mnt/a', '/mnt/a/config', '/mnt/a/config/tsm', '/mnt/b', '/mnt/b/dev'])
    assert.equal(givesEvidence(path, mounts), true, path);
  for (const path of ['/mnt/c', '/mnt/c/data', '/mnt/b/dev/shm'])
    assert.equal(givesEvidence(path, mounts), false, path);
});
