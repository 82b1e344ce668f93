import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import type { CreateContainer } from '../request/actions.js';
import { createContainer, startContainer } from '../perform/containers.js';
import { RealGuest, skip } from '../testing/real-guest.js';

const files = ['fs/mqueue/msg_max', 'kernel/shmmax', 'kernel/domainname'].map((name) => `/proc/sys/${name}`);
const values = (): readonly string[] => files.map((file) => readFileSync(file, 'utf8'));

let real: RealGuest;
beforeEach(async () => {
  real = await RealGuest.open();
});
afterEach(() => real.close());

function request(
  args: readonly string[],
  sysctl: Readonly<Record<string, string>>,
  without?: string,
): CreateContainer {
  const id = real.id();
  const spec = real.spec(args);
  const namespaces = spec.linux?.namespaces?.filter(({ type }) => type !== without);
  return {
    id,
    execId: id,
    spec: { ...spec, linux: { ...spec.linux, sysctl, namespaces } },
    storages: [],
    sandboxPidns: false,
  };
}

async function seen(action: CreateContainer): Promise<string> {
  await createContainer(real.guest, action);
  await startContainer(real.guest, action.id);
  return (await real.readAll(action.id)).toString();
}

test('sysctls of its IPC and UTS namespaces are there when a container starts', { skip }, async () => {
  const before = values();
  const wanted = { 'fs.mqueue.msg_max': '7', 'kernel/shmmax': '4096', 'kernel.domainname': 'nis.example' };
  assert.equal(await seen(request(['cat', ...files], wanted)), '7\n4096\nnis.example\n');
  assert.deepEqual(values(), before, 'they are not the guest’s');
});

test('one that the kernel does not have is left out, with a warning', { skip }, async () => {
  assert.equal(await seen(request(['cat', files[0] ?? ''], { 'fs.mqueue.nothing': '1' })), '10\n');
  assert.deepEqual(
    real.log.filter((line) => line.includes('sysctl')),
    ['warn: sysctl fs.mqueue.nothing is left out: this kernel does not have it'],
  );
});

test('a create that fails leaves those of the pod’s namespaces', { skip }, async () => {
  const pause = request(['sleep', '60'], { 'kernel.shmmax': '8192', 'kernel.domainname': 'pod.example' });
  await createContainer(real.guest, pause);
  const wrong = { 'kernel.shmmax': '4096', 'kernel.domainname': 'other', 'fs.mqueue.msg_max': '99999999999' };
  await assert.rejects(createContainer(real.guest, request(['true'], wrong)), {
    kind: 'invalid',
    message: /^sysctl fs\.mqueue\.msg_max does not take "99999999999"/,
  });
  assert.equal(await seen(request(['cat', ...files], {})), '10\n8192\npod.example\n');
});

test('a container cannot write sysctls of the guest’s own namespaces', { skip }, async () => {
  const before = values();
  for (const [type, sysctl] of [
    ['ipc', { 'kernel.shmmax': '4096' }],
    ['uts', { 'kernel.domainname': 'guest.example' }],
  ] as const)
    await assert.rejects(createContainer(real.guest, request(['true'], sysctl, type)), {
      kind: 'invalid',
      message: new RegExp(`would be the guest's: the container has no ${type} namespace`),
    });
  assert.deepEqual(values(), before);
});
