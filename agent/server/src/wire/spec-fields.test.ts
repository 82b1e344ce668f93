import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clone,
  create,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { buildSpec, encodeSpec, GuestError, openAccess } from '@kata-agent/guest';
import { type Spec, SpecSchema } from '@kata-agent/protocol/oci';
import { ociSpec } from './oci-spec.js';

/** Fields that neither reach the OCI runtime nor are rejected, each with the reason (S33). */
const reviewed: Readonly<Record<string, string>> = {
  Solaris: 'of another system',
  Windows: 'of another system',
  'Process.User.Username': 'a user name is for Windows; Linux has UID and GID',
  'Root.Path': 'the agent has its own directory for each rootfs',
  'Linux.Namespaces.Path': "namespace paths are the host's; the agent uses the sandbox's own",
  'Linux.IntelRdt.L3CacheSchema': "refers to the host's CPUs",
  'Linux.Resources.Network.ClassID': 'the network is the guest’s, and is not limited by class',
  'Linux.Resources.Network.Priorities.Name': 'the network is the guest’s, and is not limited by class',
  'Linux.Resources.Network.Priorities.Priority': 'the network is the guest’s, and is not limited by class',
};

/** A specification with every field set. */
const base: Spec = create(SpecSchema, {
  Version: '1.1.0',
  Hostname: 'pod',
  Annotations: { a: 'b' },
  Root: { Path: '/r', Readonly: true },
  Process: {
    ConsoleSize: { Height: 1, Width: 2 },
    User: { UID: 1, GID: 2, AdditionalGids: [3] },
    Args: ['/bin/sh'],
    Env: ['A=b'],
    Cwd: '/',
    Capabilities: { Bounding: ['CAP_KILL'] },
    Rlimits: [{ Type: 'RLIMIT_CORE', Hard: 9n, Soft: 1n }],
    OOMScoreAdj: 5n,
    ApparmorProfile: 'p',
    SelinuxLabel: 'l',
  },
  Mounts: [{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] }],
  Hooks: {
    Prestart: [{ Path: '/h', Args: ['h'], Env: ['A=b'], Timeout: 3n }],
    Poststart: [{ Path: '/h' }],
    Poststop: [{ Path: '/h' }],
    CreateRuntime: [{ Path: '/h' }],
    CreateContainer: [{ Path: '/h' }],
    StartContainer: [{ Path: '/h' }],
  },
  Solaris: { dummy: '' },
  Windows: { dummy: '' },
  Linux: {
    UIDMappings: [{ HostID: 1, ContainerID: 2, Size: 3 }],
    GIDMappings: [{ HostID: 1, ContainerID: 2, Size: 3 }],
    Sysctl: { 'kernel.shm_rmid_forced': '1' },
    CgroupsPath: '/a',
    Namespaces: [{ Type: 'uts' }],
    Devices: [{ Path: '/dev/x', Type: 'c', Major: 99n, Minor: 1n, FileMode: 438, UID: 1, GID: 1 }],
    RootfsPropagation: 'slave',
    MaskedPaths: ['/proc/kcore'],
    ReadonlyPaths: ['/proc/sys'],
    MountLabel: 'm',
    IntelRdt: { L3CacheSchema: 'x' },
    Seccomp: {
      DefaultAction: 'SCMP_ACT_ERRNO',
      Architectures: ['SCMP_ARCH_X86_64'],
      Flags: ['SECCOMP_FILTER_FLAG_LOG'],
      Syscalls: [
        {
          Names: ['read'],
          Action: 'SCMP_ACT_ERRNO',
          ErrnoRet: { case: 'errnoret', value: 1 },
          Args: [{ Index: 1n, Value: 2n, ValueTwo: 3n, Op: 'SCMP_CMP_EQ' }],
        },
      ],
    },
    Resources: {
      Devices: [{ Allow: true, Type: 'c', Major: 98n, Minor: 1n, Access: 'r' }],
      Memory: { Limit: 1n, Reservation: 1n, Swap: 1n, Kernel: 1n, KernelTCP: 1n, Swappiness: 1n },
      CPU: {
        Shares: 1n,
        Quota: 1n,
        Period: 1n,
        RealtimeRuntime: 1n,
        RealtimePeriod: 1n,
        Cpus: '0',
        Mems: '0',
      },
      Pids: { Limit: 1n },
      BlockIO: {
        Weight: 1,
        LeafWeight: 1,
        WeightDevice: [{ Major: 1n, Minor: 1n, Weight: 1, LeafWeight: 1 }],
        ThrottleReadBpsDevice: [{ Major: 1n, Minor: 1n, Rate: 1n }],
        ThrottleWriteBpsDevice: [{ Major: 1n, Minor: 1n, Rate: 1n }],
        ThrottleReadIOPSDevice: [{ Major: 1n, Minor: 1n, Rate: 1n }],
        ThrottleWriteIOPSDevice: [{ Major: 1n, Minor: 1n, Rate: 1n }],
      },
      HugepageLimits: [{ Pagesize: '2MB', Limit: 1n }],
      Network: { ClassID: 1, Priorities: [{ Name: 'eth0', Priority: 1 }] },
    },
  },
});

type Members = Message & Record<string, unknown>;

/** Returns every scalar field below a message: its path, and a function that changes it. */
function fieldsOf(
  descriptor: DescMessage,
  at: (root: Members) => Members,
  path: readonly string[],
): readonly { readonly path: string; readonly change: (root: Members) => void }[] {
  return descriptor.fields.flatMap((field) => {
    const names = [...path, field.name];
    const name = field.oneof?.localName ?? field.localName;
    if (field.fieldKind === 'message')
      return fieldsOf(field.message, (root) => at(root)[name] as Members, names);
    if (field.fieldKind === 'list' && field.listKind === 'message')
      return fieldsOf(field.message, (root) => (at(root)[name] as Members[])[0] as Members, names);
    const change = (root: Members): void => {
      const members = at(root);
      members[name] = otherValue(field, members[name]);
    };
    return [{ path: names.filter((word) => word !== 'dummy').join('.'), change }];
  });
}

function otherValue(field: DescField, value: unknown): unknown {
  if (field.oneof !== undefined) return { case: field.localName, value: 77 };
  if (field.fieldKind === 'map') return { 'kernel.other': 'x' };
  if (field.fieldKind === 'list')
    return [
      ...(value as unknown[]),
      field.listKind === 'scalar' && field.scalar === ScalarType.STRING ? 'other' : 77,
    ];
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'bigint') return 77n;
  return typeof value === 'number' ? 77 : `other`;
}

/** Returns what the OCI runtime would get; undefined if it is rejected. */
function built(spec: Spec): string | undefined {
  try {
    const { spec: made, networkSysctls } = buildSpec(ociSpec(spec), {
      containerId: 'c1',
      rootfs: '/rootfs',
      shared: {},
      capabilities: {
        seccomp: true,
        hasAppArmorProfile: () => true,
        selinux: true,
        cgroupVersion: 2,
        systemd: false,
        flaws: [],
        hugePages: ['2MB'],
      },
      onlineCpus: Array.from({ length: 128 }, (_, cpu) => cpu),
      hooks: 'allow',
      hostname: 'sandbox',
      resolvConf: undefined,
      attached: [],
      injected: [],
      bound: [],
      access: openAccess,
      guest: { numberOf: () => undefined, nameOf: () => undefined, list: () => [] },
    });
    return encodeSpec({ ...made, networkSysctls });
  } catch (error) {
    if (error instanceof GuestError) return undefined;
    throw error;
  }
}

test('each field of a specification reaches the OCI runtime, is rejected, or is on the reviewed list', () => {
  const before = built(base);
  assert.ok(before !== undefined);
  const fields = fieldsOf(SpecSchema, (root) => root, []);
  const silent: string[] = [];
  const counts = { reached: 0, refused: 0 };
  for (const { path, change } of fields) {
    const changed = clone(SpecSchema, base);
    change(changed);
    const after = built(changed);
    if (after === undefined) counts.refused += 1;
    else if (after !== before) counts.reached += 1;
    else silent.push(path);
  }
  assert.deepEqual(silent.filter((path) => reviewed[path] === undefined).sort(), []);
  assert.deepEqual(
    Object.keys(reviewed).filter((path) => !silent.includes(path)),
    [],
    'reviewed, but not needed',
  );
  assert.ok(counts.reached > 60 && counts.refused > 5, JSON.stringify(counts));
  console.error(`${fields.length} fields: ${JSON.stringify(counts)}, ${silent.length} on the reviewed list`);
});
