import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openAccess } from '../guest-access.js';
import type { OciSpec } from '../request/oci-spec.js';
import { admitRequest, admitSpec, type RequestedContainer } from './admission.js';

const empty: OciSpec = { ociVersion: '1.0.2' };
const process = { args: ['/bin/true'], cwd: '/', user: { uid: 0, gid: 0 } };
const context = {
  containerId: 'c1',
  attached: [],
  injected: [],
  bound: [],
  capabilities: {
    seccomp: true,
    hasAppArmorProfile: () => false,
    selinux: false,
    cgroupVersion: 1,
    systemd: false,
    hugePages: [],
    flaws: [],
  },
  access: { ...openAccess, privileged: 'refuse' },
  guest: { list: () => [], numberOf: () => undefined, nameOf: () => undefined },
} as const;

/** Adds one fault after another is fixed; `message` is the expected refusal until then. */
type Repairs<Subject> = readonly (readonly [message: RegExp, repair: (subject: Subject) => Subject])[];

function refusedInOrder<Subject>(
  faulty: Subject,
  repairs: Repairs<Subject>,
  admit: (subject: Subject) => unknown,
): void {
  let subject = faulty;
  for (const [message, repair] of repairs) {
    assert.throws(() => admit(subject), message);
    subject = repair(subject);
  }
  admit(subject);
}

test('a request with several faults is refused for the first of the list', () => {
  const mounts = Array.from({ length: 300 }, () => ({ destination: '/a' }));
  const hooks = { prestart: [{ path: '/x' }] };
  const containers = { count: 1, limit: 1, has: () => true, had: () => true, isWaiting: () => true };
  const free = { ...containers, has: () => false, had: () => false };
  const faulty: RequestedContainer = {
    action: { id: '', spec: { ...empty, mounts, hooks, linux: { sysctl: { vm: '|' } } }, storages: [] },
    paths: { kata: '/run/kata-containers' },
    hooks: 'refuse',
    verifiedLayers: false,
    access: { privileged: 'refuse', sysctls: [], networkNamespaces: [] },
    containers,
    installedRuntime: () => {
      throw new Error('no runtime');
    },
  };
  const withSpec = (spec: OciSpec) => (subject: RequestedContainer) => ({
    ...subject,
    action: { ...subject.action, spec },
  });
  const sysctl = (values: Readonly<Record<string, string>>): OciSpec => ({
    ...empty,
    linux: { sysctl: values },
  });
  const repairs: Repairs<RequestedContainer> = [
    [/container id/, (subject) => ({ ...subject, action: { ...subject.action, id: 'a' } })],
    [/a exists/, (subject) => ({ ...subject, containers: { ...containers, has: () => false } })],
    [/a was removed/, (subject) => ({ ...subject, containers: free })],
    [/being created/, (subject) => ({ ...subject, containers: { ...free, isWaiting: () => false } })],
    [
      /there are 1 containers/,
      (subject) => ({ ...subject, containers: { ...subject.containers, limit: 2 } }),
    ],
    [/no runtime/, (subject) => ({ ...subject, installedRuntime: () => '/usr/sbin/runc' })],
    [/300 mounts/, withSpec({ ...empty, hooks })],
    [/hooks/, withSpec(sysctl({ 'kernel.sem': '|', 'kernel/sem': '1', 'vm.x': '1' }))],
    [/appears twice/, withSpec(sysctl({ 'kernel.sem': '|', 'vm.x': '1' }))],
    [/does not take/, withSpec(sysctl({ 'vm.x': '1' }))],
    [
      /vm\.x is refused/,
      withSpec({
        ...empty,
        linux: { namespaces: [{ type: 'network' }, { type: 'network', path: '/run/netns/a' }] },
      }),
    ],
    [
      /several network namespaces/,
      withSpec({ ...empty, linux: { namespaces: [{ type: 'network', path: '/run/netns/a' }] } }),
    ],
    [/network namespace "\/run\/netns\/a" is refused; help: add it to/, withSpec(empty)],
  ];
  refusedInOrder(faulty, repairs, admitRequest);
});

test('a spec with several faults is refused for the first of the list', () => {
  const linux = {
    cgroupsPath: '/..',
    devices: [{ path: '/dev/mem', type: 'c', major: 1, minor: 1 }],
    resources: { devices: [{ allow: true, type: 'x' }] },
    seccomp: { defaultAction: 'NONE' },
    maskedPaths: ['a'],
    readonlyPaths: ['b'],
    namespaces: [{ type: 'moon' }],
    sysctl: { 'vm.x': '1' },
  };
  const faulty: OciSpec = { ...empty, hostname: 'a b', mounts: [{ destination: '/m', type: 'nfs' }] };
  const inLinux = (more: Partial<NonNullable<OciSpec['linux']>>) => (spec: OciSpec) => ({
    ...spec,
    linux: { ...spec.linux, ...more },
  });
  const repairs: Repairs<OciSpec> = [
    [/no process/, (spec) => ({ ...spec, process: { ...process, args: [] } })],
    [/no linux section/, (spec) => ({ ...spec, linux })],
    [/cgroupsPath/, inLinux({ cgroupsPath: '' })],
    [/args is empty/, (spec) => ({ ...spec, process })],
    [/hostname/, (spec) => ({ ...spec, hostname: '' })],
    [/file system "nfs"/, (spec) => ({ ...spec, mounts: [] })],
    [/the guest's own memory/, inLinux({ devices: [] })],
    [/device rule/, inLinux({ resources: {} })],
    [/seccomp/, inLinux({ seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } })],
    [/maskedPaths/, inLinux({ maskedPaths: [] })],
    [/readonlyPaths/, inLinux({ readonlyPaths: [] })],
    [/moon/, inLinux({ namespaces: [] })],
    [/vm\.x does not belong to a namespace/, inLinux({ sysctl: {} })],
  ];
  refusedInOrder(faulty, repairs, (spec) => admitSpec(spec, context));
});
