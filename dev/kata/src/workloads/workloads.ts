// The pods of Kata's Kubernetes tests (tests/integration/kubernetes/runtimeclass_workloads) that can run without
// Kubernetes, with what the tests expect of them.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '@kata-agent/tool-command/command-line';
import { expect } from '../plan/part.js';
import type { RunningPod } from './running-pod.js';
import { writeFiles } from './volumes.js';

export interface Workload {
  /** The manifest, without `.yaml`. */
  readonly name: string;
  /** Other manifests with objects that the pod uses. */
  readonly uses?: readonly string[];
  /** Objects that Kata's test creates by itself. */
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly configMaps?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Texts of the manifest that Kata's test replaces. */
  readonly values?: Readonly<Record<string, string>>;
  readonly check: (pod: RunningPod) => Promise<void>;
  /** What differs with the configuration that is generated for the pod. Default: nothing. */
  readonly checkRestricted?: (pod: RunningPod) => Promise<void>;
}

const sh = (script: string): readonly string[] => ['sh', '-c', script];

const equal = (got: string, wanted: string): void =>
  expect(got.trim() === wanted, `${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);

const has = (text: string, pattern: RegExp): void =>
  expect(pattern.test(text), `${JSON.stringify(text)} does not match ${pattern}`);

const runs = async (pod: RunningPod): Promise<void> => {
  for (const { name } of pod.pod.spec.containers)
    expect(await pod.isRunning(name), `container ${name} does not run`);
};

const completes = async (pod: RunningPod): Promise<void> => {
  const { exitCode, reason } = await pod.ended();
  expect(exitCode === 0, `it ended with ${exitCode} (${reason})`);
};

/** A value of a limit, whichever version the guest's cgroups have. */
const limit = (pod: RunningPod, v1: string, v2: string, name?: string): Promise<string> =>
  pod.exec(sh(`cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}`), name);

const hostFile = join(tmpdir(), `kata-workload-${process.pid}`);

export const workloads: readonly Workload[] = [
  {
    name: 'busybox-pod',
    check: async (pod) => {
      await runs(pod);
      // One PID namespace: each container sees the process of the other.
      for (const name of ['first-test-container', 'second-test-container'])
        equal(await pod.exec(sh('ps | grep -c "[s]leep 30"'), name), '2');
    },
  },
  { name: 'cron-job', check: async (pod) => pod.logged(/^3\.141/m) },
  {
    name: 'initContainer-shared-volume',
    check: async (pod) => {
      const [first = '', last = ''] = (
        await pod.exec(sh('cat /volume/initContainer /volume/container'))
      ).split('\n');
      expect(BigInt(first) < BigInt(last), `${first} is not before ${last}`);
    },
  },
  {
    name: 'initcontainer-shareprocesspid',
    check: async (pod) => {
      equal(await pod.exec(sh('ps | grep -c "[t]ail -f /dev/null" || true')), '0');
    },
  },
  {
    name: 'inotify-configmap-pod',
    configMaps: { cm: { 'config.toml': 'before' } },
    check: async (pod) => {
      await pod.logged(/^watching/m);
      writeFiles(pod.volume('config'), { 'config.toml': 'after' });
      await pod.logged(/^success/m);
      await completes(pod);
    },
  },
  {
    name: 'job',
    check: async (pod) => {
      await pod.logged(/^3\.141/m);
      await completes(pod);
    },
  },
  { name: 'job-template', values: { $ITEM: 'test1' }, check: runs },
  {
    name: 'k8s-pod-sc-supplementalgroups-deployment',
    check: async (pod) => equal(await pod.exec(['id']), 'uid=2000 gid=2000 groups=997,998,999,2000'),
  },
  { name: 'k8s-pod-sc-deployment', check: async (pod) => has(await pod.exec(['id', '-u']), /^2000$/m) },
  {
    name: 'k8s-pod-sc-nobodyupdate-deployment',
    check: async (pod) => has(await pod.exec(['id', '-u']), /^65534$/m),
  },
  { name: 'k8s-policy-hard-coded', check: runs },
  { name: 'nginx-deployment', check: runs },
  {
    name: 'k8s-layered-sc-deployment',
    check: async (pod) => has(await pod.exec(['id']), /uid=3000 gid=2000/),
  },
  { name: 'k8s-policy-job', check: completes },
  {
    name: 'lifecycle-events',
    check: async (pod) =>
      equal(await pod.exec(['cat', '/usr/share/message']), 'Hello from the postStart handler'),
    // The rules allow the commands of the two handlers only.
    checkRestricted: async (pod) => {
      const denied = await pod.exec(['cat', '/usr/share/message']).then(() => '', messageOf);
      has(denied, /exec-process-commands/);
    },
  },
  { name: 'pod-besteffort', check: runs },
  {
    name: 'pod-burstable',
    // As the manifest of Kata 4.1; that of 3.27 has 200Mi.
    check: async (pod) =>
      equal(await limit(pod, 'memory/memory.limit_in_bytes', 'memory.max'), String(800 * 2 ** 20)),
  },
  { name: 'pod-guaranteed', check: runs },
  {
    name: 'pod-caps',
    check: async (pod) => {
      await pod.logged(
        /CapPrm:\s+00000000a80425fb\s+CapEff:\s+00000000a80425fb\s+CapBnd:\s+00000000a80425fb/,
      );
      has(await pod.exec(sh('grep CapEff /proc/self/status')), /00000000a80425fb/);
    },
  },
  {
    name: 'pod-configmap',
    uses: ['configmap'],
    check: async (pod) => {
      has(await pod.exec(['env']), /^KUBE_CONFIG_1=value-1$[^]*^KUBE_CONFIG_2=value-2$/m);
    },
  },
  {
    name: 'pod-configmap-volume',
    uses: ['configmap'],
    check: async (pod) => {
      equal(await pod.exec(['cat', '/etc/config/data-1']), 'value-1');
      writeFiles(pod.volume('config-volume'), { 'data-1': 'value-1-modified', 'data-2': 'value-2' });
      await pod.reaches(async () => (await pod.exec(['cat', '/etc/config/data-1'])) === 'value-1-modified');
    },
  },
  {
    name: 'pod-cpu',
    check: async (pod) => {
      has(await limit(pod, 'cpu/cpu.cfs_quota_us', 'cpu.max'), /^100000/);
      has(await limit(pod, 'cpu/cpu.shares', 'cpu.weight'), /^(?:512|20)$/m);
    },
  },
  { name: 'pod-cpu-defaults', check: runs },
  {
    name: 'pod-custom-dns',
    check: async (pod) => {
      has(
        await pod.exec(['cat', '/etc/resolv.conf']),
        /search dns\.test\.search\n[^]*nameserver 1\.2\.3\.4|nameserver 1\.2\.3\.4\n[^]*search dns\.test\.search/,
      );
    },
  },
  {
    name: 'pod-empty-dir',
    check: async (pod) => {
      has(await pod.exec(['mount']), / on \/tmp\/cache type tmpfs /);
      await pod.exec(sh('echo ok > /host/cache/file && echo ok > /tmp/cache/file'));
    },
  },
  {
    name: 'pod-empty-dir-fsgroup',
    values: { '${agnhost_image}': 'agnhost' },
    check: async (pod) => {
      for (const { name } of pod.pod.spec.containers)
        await pod.logged(/owner UID of .*: 1001\n.*owner GID of .*: 123$/m, name);
    },
  },
  { name: 'pod-env', check: async (pod) => pod.logged(/^test-env\n127\.0\.0\.1\n33554432\n\d+$/m) },
  {
    name: 'pod-file-volume',
    values: { HOST_FILE: hostFile, MOUNT_PATH: '/tmp/foo.txt', NODE: 'node' },
    check: async (pod) => equal(await pod.exec(['cat', '/tmp/foo.txt']), 'test'),
  },
  { name: 'pod-hostname', check: async (pod) => pod.logged(/^test-pod-hostname$/m) },
  {
    name: 'pod-hostpath-kmsg',
    check: async (pod) => has(await pod.exec(['stat', '-c', '%F', '/dev/kmsg']), /^character special file/),
  },
  {
    name: 'pod-liveness',
    check: async (pod) => {
      await pod.reaches(async () => (await pod.exitCode(['cat', '/tmp/healthy'])) === 0);
      await pod.logged(/^Check dead/m);
      expect((await pod.exitCode(['cat', '/tmp/healthy'])) !== 0, 'the probe still succeeds');
    },
  },
  {
    name: 'pod-memory-limit',
    values: { '${memory_size}': '64Mi', '${memory_allocated}': '96M' },
    check: async (pod) => equal((await pod.ended()).reason, 'OOMKilled'),
  },
  {
    name: 'pod-nested-configmap-secret',
    check: async (pod) => {
      equal(await pod.exec(['cat', '/config/config_key']), 'myconfig');
      equal(await pod.exec(['cat', '/config/secret/secret_key']), 'mysecret');
    },
  },
  {
    name: 'pod-number-cpu',
    check: async (pod) => {
      has(await limit(pod, 'cpu/cpu.cfs_quota_us', 'cpu.max'), /^50000/);
    },
  },
  {
    name: 'pod-oom',
    check: async (pod) => {
      const { exitCode, reason } = await pod.ended('oom-test');
      expect(reason === 'OOMKilled', `it ended with ${exitCode} (${reason})`);
      expect(await pod.isRunning('not-oom'), 'the other container ended too');
    },
  },
  {
    name: 'pod-optional-empty-configmap',
    configMaps: { 'empty-config': {} },
    check: async (pod) => {
      equal(await pod.exec(sh('ls /empty-config /optional-missing-config | grep -v :')), '');
    },
  },
  {
    name: 'pod-optional-empty-secret',
    secrets: { 'empty-secret': {} },
    check: async (pod) => {
      equal(await pod.exec(sh('ls /empty-secret /optional-missing-secret | grep -v :')), '');
    },
  },
  {
    name: 'pod-privileged',
    check: async (pod) => {
      await runs(pod);
      // All that this machine has.
      const [all = ''] = /^CapBnd:.*$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
      equal(await pod.exec(sh('grep CapEff /proc/self/status')), all.replace('CapBnd', 'CapEff'));
    },
  },
  {
    name: 'pod-projected-volume',
    secrets: { user: { username: 'admin' }, pass: { password: '1f2d1e2e67df' } },
    check: async (pod) =>
      equal(
        await pod.exec(sh('cat /projected-volume/username /projected-volume/password')),
        'admin1f2d1e2e67df',
      ),
  },
  { name: 'pod-quota-deployment', check: runs },
  {
    name: 'pod-readonly-volume',
    check: async (pod) => {
      has(await pod.exec(sh('touch /tmp/foo 2>&1 || true')), /Read-only file system/);
    },
  },
  { name: 'pod-seccomp', check: async (pod) => pod.logged(/^Seccomp:\s+2$/m) },
  {
    name: 'pod-secret',
    uses: ['inject_secret'],
    check: async (pod) => {
      equal(await pod.exec(['cat', '/tmp/secret-volume/username']), 'my-app');
    },
  },
  {
    name: 'pod-secret-env',
    uses: ['inject_secret'],
    check: async (pod) => {
      has(await pod.exec(['env']), /^SECRET_USERNAME=my-app$[^]*^SECRET_PASSWORD=39528\$vdg7Jb$/m);
    },
  },
  { name: 'pod-security-context', check: async (pod) => equal(await pod.exec(['id', '-u']), '1000') },
  {
    name: 'pod-shared-volume',
    check: async (pod) => {
      await pod.reaches(async () => (await pod.exitCode(['test', '-s', '/tmp/pod-data'])) === 0);
      equal(await pod.exec(['cat', '/tmp/pod-data']), 'Hello from the busybox-second-container');
    },
  },
  { name: 'replication-controller', check: runs },
];

/** Reasons why the other manifests do not run here, by a pattern of their names. */
export const notHere: readonly (readonly [names: RegExp, reason: string])[] = [
  [/nvidia|numa|vfio/, 'needs a GPU or other passed-through devices'],
  [
    /confidential|attest|sealed|trusted|cryptsetup|initdata|encrypted/,
    'needs the guest components of a confidential guest',
  ],
  [
    /block-pv|pvc|pv-|volume-claim|plain-ephemeral/,
    'needs a block device, which the replaced VMM does not plug',
  ],
  [/hugepage/, 'needs huge pages of the machine'],
  [
    /liveness|istio|redis|smb|openvpn|footloose|stress|node-debugger|prometheus/,
    'needs an image or a network that is not made locally',
  ],
  [/sysctl/, 'its init container changes a sysctl of this machine: the guest is a process, not a machine'],
  [/sandbox-/, 'tests cgroups or CPUs of the VMM on the host'],
  [/policy/, 'tests genpolicy: part genpolicy'],
  [
    /quota|limit-range|runtimeclass|priority-class|namespace/,
    'is not a pod, but an object of the API server',
  ],
  [/no-layer-image|guest-pull/, 'needs an image of a registry'],
  [
    /graceful-termination|termination-log|uds-shared-volume|vm-templating|erofs/,
    'its test writes the pod: not written here',
  ],
];

/** Writes the file of the host that a pod mounts. Returns what removes it. */
export function writeHostFile(): () => void {
  writeFileSync(hostFile, 'test');
  return () => rmSync(hostFile, { force: true });
}
