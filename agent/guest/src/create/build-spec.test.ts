import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openAccess } from '../guest-access.js';
import type { OciLinux, OciProcess, OciSpec } from '../request/oci-spec.js';
import { buildSpec, type BuiltSpec, runnableProcess, type SpecContext } from './build-spec.js';

const process: OciProcess = { user: { uid: 0, gid: 0 }, args: ['/bin/sh'], cwd: '/' };

const context: SpecContext = {
  containerId: 'c1',
  rootfs: '/run/kata-agent/bundles/c1/rootfs',
  shared: {},
  capabilities: {
    seccomp: true,
    hasAppArmorProfile: () => false,
    selinux: false,
    cgroupVersion: 1,
    systemd: false,
    hugePages: [],
    flaws: [],
  },
  onlineCpus: [0, 1],
  hooks: 'refuse',
  hostname: 'pod',
  resolvConf: undefined,
  attached: [],
  injected: [],
  bound: [],
  access: openAccess,
  guest: { numberOf: () => undefined, nameOf: () => undefined, list: () => [] },
};

const build = (spec: Partial<OciSpec> = {}, more: Partial<SpecContext> = {}): BuiltSpec =>
  buildSpec({ ociVersion: '1.0.2', process, linux: {}, ...spec }, { ...context, ...more });
const withLinux = (linux: OciLinux, more: Partial<SpecContext> = {}): OciLinux =>
  build({ linux }, more).spec.linux ?? {};

test('the root is the agent’s directory for any path of the request', () => {
  assert.deepEqual(build({ root: { path: '/etc', readonly: true } }).spec.root, {
    path: context.rootfs,
    readonly: true,
  });
});

test('network and time namespaces are dropped, pid and mount added, paths of the host ignored', () => {
  const namespaces = [
    { type: 'network', path: '/proc/1/ns/net' },
    { type: 'time' },
    { type: 'ipc', path: '/x' },
  ];
  assert.deepEqual(withLinux({ namespaces }).namespaces, [
    { type: 'ipc' },
    { type: 'mount' },
    { type: 'pid' },
  ]);
  assert.deepEqual(
    withLinux({ namespaces }, { shared: { pid: '/proc/7/ns/pid', ipc: '/proc/7/ns/ipc' } }).namespaces,
    [{ type: 'ipc', path: '/proc/7/ns/ipc' }, { type: 'mount' }, { type: 'pid', path: '/proc/7/ns/pid' }],
  );
  assert.throws(() => withLinux({ namespaces: [{ type: 'warp' }] }), { kind: 'invalid', message: /warp/ });
});

test('sysctls are written by the agent, and not passed to the OCI runtime', () => {
  const built = build({ linux: { sysctl: { 'net.ipv4.ip_forward': '1', 'kernel.shm_rmid_forced': '1' } } });
  assert.deepEqual(built.networkSysctls, { 'net.ipv4.ip_forward': '1' });
  assert.deepEqual(built.namespaceSysctls, { 'kernel.shm_rmid_forced': '1' });
  assert.equal(built.spec.linux?.sysctl, undefined);
  assert.throws(() => build({ linux: { sysctl: { 'vm.overcommit_memory': '1' } } }), { kind: 'invalid' });
  assert.throws(() => build({ linux: { sysctl: { 'net/../../x': '1' } } }), { kind: 'invalid' });
});

test('a sysctl of the whole guest is written if the configuration names it, and never one that runs a program', () => {
  const sysctl = { 'vm/overcommit_memory': '1', 'kernel.shm_rmid_forced': '1', 'net.core.somaxconn': '9' };
  for (const privileged of ['refuse', 'allow'] as const) {
    const access = { ...openAccess, privileged, sysctls: ['vm.overcommit_memory', 'net.core.somaxconn'] };
    const built = build({ linux: { sysctl } }, { access });
    assert.deepEqual(built.guestSysctls, { 'vm.overcommit_memory': '1' });
    assert.deepEqual(built.namespaceSysctls, { 'kernel.shm_rmid_forced': '1' });
    assert.deepEqual(built.networkSysctls, { 'net.core.somaxconn': '9' });
  }
  for (const name of [
    'kernel.core_pattern',
    'kernel/core_pattern',
    'kernel.modprobe',
    'kernel.poweroff_cmd',
    'kernel.usermodehelper.bset',
    'fs.binfmt_misc.register',
  ]) {
    const access = { ...openAccess, sysctls: [name.replaceAll('/', '.')] };
    assert.throws(
      () => build({ linux: { sysctl: { [name]: '|/bin/sh' } } }, { access }),
      { kind: 'refused' },
      name,
    );
  }
});

test('CPUs that the guest does not have are left out with a warning, as with Kata’s agent', () => {
  const cpuset = (cpus: string): readonly unknown[] => {
    const { spec, warnings } = build({ linux: { resources: { cpu: { cpus, shares: 5n } } } });
    return [spec.linux?.resources?.cpu?.cpus, spec.linux?.resources?.cpu?.shares, warnings];
  };
  const warning = (missing: string): string =>
    `CPUs ${missing} of the container's cpuset are left out: the guest does not have them online`;
  assert.deepEqual(cpuset('0-1'), ['0-1', 5n, []]);
  assert.deepEqual(cpuset('1-3,7'), ['1', 5n, [warning('2-3,7')]]);
  assert.deepEqual(cpuset('4'), [undefined, 5n, [warning('4')]]);
  assert.throws(() => cpuset('0-'), { kind: 'invalid', message: /is not a list such as 0-3,8/ });
});

test('cgroup paths', () => {
  const path = (cgroupsPath?: string): string => build({ linux: { cgroupsPath } }).cgroup.path;
  assert.equal(path('/kubepods/pod1/c1'), '/kubepods/pod1/c1');
  assert.equal(path('system.slice:kata:c1'), '/system.slice/kata/c1');
  assert.equal(path('kubepods/c1/'), '/kubepods/c1');
  assert.equal(path(), '/kata-agent/c1');
  assert.equal(path(''), '/kata-agent/c1');
  for (const bad of ['/a/../..', 'a:..:b', '/', '::'])
    assert.throws(() => path(bad), { kind: 'invalid' }, bad);
});

test('with systemd a path in its form is a scope, of which the runtime is given the parts', () => {
  const capabilities = { ...context.capabilities, cgroupVersion: 2, systemd: true } as const;
  const built = (cgroupsPath?: string): ReturnType<typeof build> =>
    build(
      { annotations: { 'org.systemd.property.Conflicts': "['a']" }, linux: { cgroupsPath } },
      { capabilities },
    );
  const scope = built('kubepods-pod1.slice:cri-containerd:c1');
  assert.deepEqual(scope.cgroup, {
    path: '/kubepods.slice/kubepods-pod1.slice/cri-containerd-c1.scope',
    cgroupsPath: 'kubepods-pod1.slice:cri-containerd:c1',
    isScope: true,
  });
  assert.equal(scope.spec.linux?.cgroupsPath, 'kubepods-pod1.slice:cri-containerd:c1');
  assert.deepEqual(scope.spec.annotations, { 'run.oci.systemd.subgroup': '' });
  assert.equal(built('::').cgroup.path, '/system.slice/kata_agent-c1.scope');
  for (const path of ['/kubepods/pod1/c1', undefined]) {
    const file = built(path);
    assert.deepEqual([file.cgroup.isScope, file.spec.annotations], [false, {}]);
    assert.equal(file.spec.linux?.cgroupsPath, path ?? '/kata-agent/c1');
  }
  for (const bad of ['a:..:b', 'kubepods.slice:cri:'])
    assert.throws(() => built(bad), { kind: 'invalid' }, bad);
});

test('a seccomp profile is dropped if the OCI runtime has no seccomp', () => {
  const linux = { seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } };
  const { capabilities } = context;
  assert.equal(withLinux(linux, { capabilities: { ...capabilities, seccomp: false } }).seccomp, undefined);
  assert.deepEqual(withLinux(linux).seccomp, linux.seccomp);
});

test('an AppArmor profile that the kernel has not loaded is ignored with a warning', () => {
  const spec = { process: { ...process, apparmorProfile: 'p' } };
  const ignored = build(spec);
  assert.equal(ignored.spec.process.apparmorProfile, undefined);
  assert.deepEqual(ignored.warnings, [
    'AppArmor profile "p" is ignored: the guest\'s kernel has not loaded it',
  ]);
  const capabilities = { ...context.capabilities, hasAppArmorProfile: (name: string) => name === 'p' };
  const enforced = build(spec, { capabilities });
  assert.equal(enforced.spec.process.apparmorProfile, 'p');
  assert.deepEqual(enforced.warnings, []);
  assert.deepEqual(build({ process: { ...process, apparmorProfile: 'unconfined' } }).warnings, []);
});

test('without SELinux a process label is an error and a mount label a warning, as with Kata', () => {
  const labelled = { ...process, selinuxLabel: 'l' };
  const refusal = {
    kind: 'precondition',
    message: /"l" for the process is provided but SELinux is not enabled on the running kernel/,
  };
  assert.throws(() => build({ process: labelled }), refusal);
  assert.throws(() => runnableProcess(labelled, context.capabilities), refusal);
  const mounts = build({ linux: { mountLabel: 'm' } });
  assert.equal(mounts.spec.linux?.mountLabel, undefined);
  assert.deepEqual(mounts.warnings, [
    'SELinux label "m" of the mounts is ignored: the guest\'s kernel has no SELinux',
  ]);
  const capabilities = { ...context.capabilities, selinux: true };
  const { spec, warnings } = build({ process: labelled, linux: { mountLabel: 'm' } }, { capabilities });
  assert.deepEqual([spec.process.selinuxLabel, spec.linux?.mountLabel, warnings], ['l', 'm', []]);
});

test('a network namespace is joined by the path of its descriptor only', () => {
  const namespaces = [{ type: 'network', path: '/run/netns/podns' }];
  const built = withLinux({ namespaces }, { shared: { network: '/proc/7/fd/9' } }).namespaces;
  assert.deepEqual(
    built?.filter(({ type }) => type === 'network'),
    [{ type: 'network', path: '/proc/7/fd/9' }],
  );
});

test('under cgroup v2 a container has a cgroup namespace, whether or not it is in the request', () => {
  const types = (cgroupVersion: 1 | 2, namespaces: { readonly type: string }[]): string[] =>
    (
      withLinux({ namespaces }, { capabilities: { ...context.capabilities, cgroupVersion } }).namespaces ?? []
    ).map(({ type }) => type);
  assert.deepEqual(types(2, []), ['mount', 'pid', 'cgroup']);
  assert.deepEqual(types(2, [{ type: 'cgroup' }]), ['cgroup', 'mount', 'pid']);
  assert.deepEqual(types(1, []), ['mount', 'pid']);
});

test('limits on huge pages that the guest does not have are dropped', () => {
  const hugepageLimits = [
    { pageSize: '2MB', limit: 0n },
    { pageSize: '1GB', limit: 0n },
  ];
  const limited = (hugePages: readonly string[]): unknown =>
    withLinux({ resources: { hugepageLimits } }, { capabilities: { ...context.capabilities, hugePages } })
      .resources?.hugepageLimits;
  assert.deepEqual(limited([]), []);
  assert.deepEqual(limited(['2MB']), [{ pageSize: '2MB', limit: 0n }]);
  assert.deepEqual(limited(['2MB', '1GB']), hugepageLimits);
});

test('hooks reach the runtime only if they are allowed', () => {
  const hooks = { prestart: [{ path: '/bin/evil' }] };
  assert.equal(build({ hooks }).spec.hooks, undefined);
  assert.deepEqual(build({ hooks }, { hooks: 'allow' }).spec.hooks, hooks);
});

test('a working directory or program in a process’s /proc directory is refused', () => {
  for (const cwd of [
    '/proc/self/fd/7',
    '//proc/self',
    '/proc/./self/cwd',
    '/a/../proc/thread-self',
    '/proc/1/root',
  ]) {
    assert.throws(() => build({ process: { ...process, cwd } }), { kind: 'refused' }, cwd);
  }
  for (const [program, cwd] of [
    ['/proc/self/exe', '/'],
    ['self/exe', '/proc'],
    ['../proc/self/exe', '/bin'],
  ] as const) {
    assert.throws(
      () => build({ process: { ...process, args: [program], cwd } }),
      { kind: 'refused' },
      program,
    );
  }
  build({ process: { ...process, cwd: '/proc/selfish' } });
  assert.throws(() => build({ process: { ...process, cwd: 'here' } }), { kind: 'invalid' });
  assert.throws(() => build({ process: { ...process, args: [] } }), { kind: 'invalid' });
  assert.throws(() => build({ process: undefined }), { kind: 'invalid' });
  assert.throws(() => build({ linux: undefined }), { kind: 'invalid' });
});

test('the hostname is the container’s, else the sandbox’s, and only with a uts namespace', () => {
  const linux = { namespaces: [{ type: 'uts' }] };
  assert.equal(build({ hostname: 'own', linux }).spec.hostname, 'own');
  assert.equal(build({ linux }).spec.hostname, 'pod');
  assert.equal(build({ hostname: 'own' }).spec.hostname, undefined);
});

test('a uts namespace that the container joins keeps the pod’s hostname', () => {
  const linux = { namespaces: [{ type: 'uts' }] };
  const shared = { uts: '/proc/7/fd/8' };
  for (const hostname of ['own', 'pod', ''])
    assert.equal(build({ hostname, linux }, { shared }).spec.hostname, undefined);
  assert.throws(() => build({ hostname: 'a b', linux }, { shared }), { kind: 'invalid' });
});

test('the sandbox’s resolv.conf is mounted unless the container has its own', () => {
  const resolvConf = '/run/kata-containers/sandbox/resolv.conf';
  assert.equal(build({}, { resolvConf }).spec.mounts?.[0]?.source, resolvConf);
  const own = { destination: '/etc/resolv.conf', type: 'bind', source: '/x', options: ['bind'] };
  assert.deepEqual(build({ mounts: [own] }, { resolvConf }).spec.mounts, [own]);
});

test('devices: deny all first, allow what the spec may have, no block devices, not the guest’s memory', () => {
  const devices = [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
    { allow: true, type: 'b', major: 254, minor: 0, access: 'rwm' },
    { allow: true, access: 'rwm' },
  ];
  assert.deepEqual(withLinux({ resources: { devices } }).resources?.devices, [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
    { allow: true, type: 'c', access: 'rwm' },
  ]);
  assert.deepEqual(withLinux({}).resources?.devices, [{ allow: false, access: 'rwm' }]);
  const node = (type: string, major: number, minor: number) => () =>
    withLinux({ devices: [{ path: '/dev/x', type, major, minor }] });
  assert.throws(node('b', 254, 0), { kind: 'refused' });
  assert.throws(node('c', 1, 1), { kind: 'refused' });
  assert.throws(node('z', 1, 1), { kind: 'invalid' });
  node('c', 10, 229)();
  // The kernel truncates major numbers to 12 bits and minor numbers to 20: these would be /dev/mem.
  for (const [major, minor] of [
    [4097, 1],
    [2 ** 32 + 1, 1],
    [1, 2 ** 20 + 1],
    [-1, 1],
  ] as const) {
    assert.throws(node('c', major, minor), { kind: 'invalid', message: /device number is out of range/ });
    const rule = { allow: true, type: 'c', major, minor, access: 'rw' };
    if (major !== -1) assert.throws(() => withLinux({ resources: { devices: [rule] } }), { kind: 'invalid' });
  }
});

test('resources that are 0 are not set', () => {
  const resources = {
    memory: { limit: 0n, swap: 5n, disableOOMKiller: false },
    cpu: { shares: 0, cpus: '' },
    pids: { limit: 0 },
  };
  const built = withLinux({ resources }).resources;
  assert.deepEqual(built?.memory, { swap: 5n });
  assert.equal(built?.cpu, undefined);
  assert.equal(built?.pids, undefined);
});

test('an attached disk gets the guest’s numbers, and may be opened as the spec says', () => {
  const attached = [
    { type: 'b' as const, containerPath: '/dev/disk', path: '/dev/disk', major: 254, minor: 16 },
  ];
  const devices = [
    { path: '/dev/null', type: 'c', major: 1, minor: 3 },
    { path: '/dev/disk', type: 'b', major: 8, minor: 1, fileMode: 0o660 },
  ];
  const ruleFor = (...access: readonly string[]): unknown => {
    const rules = access.map((each) => ({ allow: true, type: 'b', major: 8, minor: 1, access: each }));
    const other = { allow: true, type: 'b', major: 8, minor: 0, access: 'rwm' };
    const built = withLinux({ devices, resources: { devices: [other, ...rules] } }, { attached });
    assert.deepEqual(
      built.devices?.map(({ major, minor }) => [major, minor]),
      [
        [1, 3],
        [254, 16],
      ],
    );
    const [deny, ...allowed] = built.resources?.devices ?? [];
    assert.deepEqual(deny, { allow: false, access: 'rwm' });
    assert.equal(allowed.length, 1, 'the other disk is left out');
    return allowed[0];
  };
  const rule = { allow: true, type: 'b', major: 254, minor: 16 };
  assert.deepEqual(ruleFor(), { ...rule, access: 'rw' });
  assert.deepEqual(ruleFor('rm'), { ...rule, access: 'r' });
  assert.deepEqual(ruleFor('r', 'wm'), { ...rule, access: 'rw' });
  const wrong = (list: OciLinux['devices'], expected: object): void =>
    assert.throws(() => withLinux({ devices: list }, { attached }), expected);
  wrong([], { kind: 'invalid', message: /"\/dev\/disk", which is not in the spec/ });
  wrong([{ path: '/dev/disk', type: 'c', major: 8, minor: 1 }], { kind: 'invalid', message: /must be b/ });
  wrong([...devices, { path: '/dev/sda', type: 'b', major: 254, minor: 16 }], { kind: 'refused' });
});

test('a hostname has the same form as the sandbox’s', () => {
  const named = (hostname: string) => () => build({ hostname, linux: { namespaces: [{ type: 'uts' }] } });
  assert.equal(named('web-0.db')().spec.hostname, 'web-0.db');
  for (const name of ['a b', 'x\ny', 'a/b', 'ä', 'x'.repeat(256)])
    assert.throws(named(name), { kind: 'invalid' });
});

test('annotations that change the runtime’s behaviour are dropped', () => {
  const annotations = {
    'run.oci.seccomp.plugins': '/x.so',
    'org.systemd.property.ExecStop': "['/x']",
    'module.wasm.image/variant': 'compat',
    'krun.variant': 'sev',
    'org.criu.config': '/x',
    'io.kubernetes.cri.image-name': 'web:1',
  };
  assert.deepEqual(build({ annotations }).spec.annotations, { 'io.kubernetes.cri.image-name': 'web:1' });
});

test('capabilities with other spellings than those of rules are refused', () => {
  const withCapability = (name: string) => () =>
    build({ process: { ...process, capabilities: { ambient: [name] } } });
  for (const name of ['cap_sys_admin', 'SYS_ADMIN', 'CAP_SYS_ADMIN ', 'CAP_', ''])
    assert.throws(withCapability(name), { kind: 'invalid', message: /CAP_NAME/ }, name);
  withCapability('CAP_SYS_ADMIN')();
  withCapability('CAP_CHECKPOINT_RESTORE')();
});

test('an environment entry without a name is refused, and not in the error', () => {
  for (const entry of ['secret', '=secret', ''])
    assert.throws(() => build({ process: { ...process, env: ['A=b', entry] } }), {
      kind: 'invalid',
      message: 'process.env has an entry that is not of the form NAME=value',
    });
  build({ process: { ...process, env: ['A=', 'B=c=d'] } });
});
