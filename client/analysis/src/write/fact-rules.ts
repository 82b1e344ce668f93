import { type Entry, type FactName, sourcePlace } from '@kata-agent/workloads';
import type { RequestFacts } from '@kata-agent/gate';

/** How a fact of requests becomes a rule. */
export interface FactRow {
  /**
   * Returns the values of one recorded request; undefined if the request is unknown. Absent: the fact is never
   * recorded.
   */
  readonly read?: (facts: RequestFacts) => readonly Entry[] | undefined;
  /** The rule's name, after the method's prefix. */
  readonly name: string;
  /** The rule's purpose, as a comment above it; can have several lines. */
  readonly description: string;
  /** The message for a denied caller. */
  readonly message: string;
  /** The key by which a list is split that is too long for one rule: of a request in CEL, and of a listed value. */
  readonly key?: { readonly cel: string; readonly of: (value: Entry) => string };
  /**
   * One list is for all containers: values begin with the container's name, or the container may be gone when the request comes, and
   * nothing is known of it.
   */
  readonly ofAllContainers?: 'named' | 'gone';
  /** CEL; absent: there is a rule only if no call has a value. `PROCESS` is replaced by the request's process. */
  readonly expression?: {
    /** Around everything: for each mount, for each name. */
    readonly open: string;
    readonly close: string;
    /** Around each list of values. */
    readonly before: string;
    readonly after: string;
    /** Before a list of `NAME=value` entries, if the fact also has names only. */
    readonly pairs?: string;
    /** After all lists combined, instead of `before` and `after` around each, which would be long. */
    readonly gathered?: string;
  };
  /** CEL for an empty list. */
  readonly none: string;
}

/** The second element of a list. */
function second(value: Entry): string {
  return typeof value === 'object' ? (value[1] ?? '') : '';
}

const rows: { readonly [F in FactName]: FactRow } = {
  command: {
    read: ({ command }) => (command === undefined ? undefined : [command]),
    name: 'commands',
    key: { cel: 'args[0]', of: String },
    description: 'Allowed commands.',
    message: 'the workload does not have this command',
    expression: { open: 'args.size() > 0 && ', before: 'args[0] in ', after: '', close: '' },
    none: 'args.size() == 0',
  },
  commandLine: {
    name: 'commands',
    key: { cel: 'args[0]', of: second },
    description:
      "Allowed commands by container: the container's name in the pod, then the whole command line.",
    message: 'the workload does not have this command, or not in this container',
    ofAllContainers: 'named',
    expression: { open: '', before: '[container.claimed.name] + args in ', after: '', close: '' },
    none: 'args.size() == 0',
  },
  environment: {
    read: ({ environment }) => environment,
    name: 'environment',
    key: { cel: 'name', of: String },
    description: 'The names of environment variables.',
    message: 'the environment has a variable that the workload does not have',
    expression: { open: 'env.all(name, ', before: 'name in ', after: '', close: ')' },
    none: 'env.size() == 0',
  },
  variables: {
    name: 'environment',
    key: { cel: 'name', of: (value) => String(value).split('=')[0] ?? '' },
    description: 'Environment variables with their values; a name without a value can have any value.',
    message: 'the environment has a variable or value that the workload does not have',
    expression: {
      open: 'env.all(name, ',
      pairs: 'name + "=" + env[name] in ',
      before: 'name in ',
      after: '',
      close: ')',
    },
    none: 'env.size() == 0',
  },
  cwd: {
    read: ({ cwd }) => (cwd === undefined ? undefined : [cwd]),
    name: 'directories',
    key: { cel: 'cwd', of: String },
    description: 'The working directory of a command.',
    message: 'the workload does not have this working directory',
    expression: { open: '', before: 'cwd in ', after: '', close: '' },
    none: 'cwd == ""',
  },
  user: {
    read: ({ user }) => (user === undefined ? undefined : [user]),
    name: 'users',
    description: 'The user and group, as numbers.',
    message: 'the workload does not have this user',
    expression: { open: '', before: 'string(user.UID) + ":" + string(user.GID) in ', after: '', close: '' },
    none: 'string(user.UID) + ":" + string(user.GID) in []',
  },
  groups: {
    name: 'groups',
    description: 'Supplementary groups, as numbers.',
    message: 'the workload is not in this group',
    expression: { open: 'user.AdditionalGids.all(g, ', before: 'string(g) in ', after: '', close: ')' },
    none: 'user.AdditionalGids.size() == 0',
  },
  terminal: {
    read: ({ terminal }) => (terminal === undefined ? undefined : terminal ? ['terminal'] : []),
    name: 'terminals',
    description: 'Whether it can have a terminal.',
    message: 'nothing in this workload has a terminal',
    none: '!terminal',
  },
  privileges: {
    name: 'privileges',
    description: 'The no_new_privs flag.',
    message: 'the no_new_privs flag differs from the workload',
    expression: { open: '', before: 'string(PROCESS.NoNewPrivileges) in ', after: '', close: '' },
    none: 'string(PROCESS.NoNewPrivileges) in []',
  },
  capabilities: {
    read: ({ capabilities }) => capabilities,
    name: 'capabilities',
    description: 'Capabilities, in any of the five sets.',
    message: 'the workload does not have this capability',
    expression: { open: 'capabilities.all(c, ', before: 'c in ', after: '', close: ')' },
    none: 'capabilities.size() == 0',
  },
  root: {
    name: 'roots',
    description: 'Whether the root filesystem is read-only.',
    message: 'the read-only flag of the root filesystem differs from the workload',
    expression: { open: '', before: 'string(request.OCI.Root.Readonly) in ', after: '', close: '' },
    none: 'string(request.OCI.Root.Readonly) in []',
  },
  // From recorded requests; a pod has `mountTable`.
  mounts: {
    read: ({ mounts }) => mounts?.map((mount) => [mount.type, mount.destination]),
    name: 'mounts',
    key: { cel: 'm.destination', of: second },
    description: 'Mounts, by type and mount point in the container.',
    message: 'the workload does not have this mount',
    expression: { open: 'mounts.all(m, ', before: '[m.type, m.destination] in ', after: '', close: ')' },
    none: 'mounts.size() == 0',
  },
  sources: {
    read: ({ mounts }) => mounts?.map((mount) => sourcePlace(mount.source)),
    name: 'mount-sources',
    description: 'Sources of mounts in the guest; a final slash includes everything below it.',
    message: 'nothing is mounted from there in this workload',
    expression: {
      open: 'mounts.all(m, ',
      before: '',
      after: '.exists(s, m.source == s || s.endsWith("/") && m.source.within(s))',
      close: ')',
    },
    none: 'mounts.size() == 0',
  },
  // From a pod.
  mountTable: {
    name: 'mounts',
    key: { cel: 'm.destination', of: second },
    description:
      'Mounts: type, mount point, source, options.\n' +
      'A source with a final slash includes everything below it; an option with a question mark is optional.',
    message: 'the workload does not have this mount',
    expression: {
      open: 'mounts.all(m, ',
      before: '',
      after: '',
      gathered:
        '.filter(w, w[1] == m.destination).exists(w, m.type == w[0] &&\n' +
        '  (m.source == w[2] || w[2].endsWith("/") && m.source.within(w[2])) &&\n' +
        '  m.options.all(o, o in w || o + "?" in w) &&\n' +
        '  w.all(o, o.endsWith("?") || o in [m.type, m.destination, w[2]] + m.options))',
      close: ')',
    },
    none: 'mounts.size() == 0',
  },
  storages: {
    read: ({ storages }) =>
      storages?.map((storage) => [storage.driver, storage.type, sourcePlace(storage.mountPoint)]),
    name: 'storages',
    description: 'Storages of the guest: driver, filesystem, and the mount point or its directory.',
    message: 'the workload does not have this storage',
    expression: {
      open: 'request.storages.all(s, ',
      before: '',
      after:
        '.exists(w, s.driver == w[0] && s.fstype == w[1] &&\n' +
        '  (s.mount_point == w[2] || w[2].endsWith("/") && s.mount_point.within(w[2])))',
      close: ')',
    },
    none: 'request.storages.size() == 0',
  },
  storageTable: {
    name: 'storages',
    description:
      'Storages of the guest: driver, filesystem, mount point, options.\n' +
      'A mount point with a final slash includes everything below it; an option with a question mark is optional.',
    message: 'the workload does not have this storage',
    expression: {
      open: 'request.storages.all(s, ',
      before: '',
      after: '',
      gathered:
        '.exists(w, s.driver == w[0] && s.fstype == w[1] &&\n' +
        '  (s.mount_point == w[2] || w[2].endsWith("/") && s.mount_point.within(w[2])) &&\n' +
        '  s.options.all(o, o in w || o + "?" in w) &&\n' +
        '  (s.driver == "image_guest_pull" || s.driver_options.all(o, o in w)) &&\n' +
        '  w.all(o, o.endsWith("?") || o in [s.driver, s.fstype, w[2]] + s.options + s.driver_options))',
      close: ')',
    },
    none: 'request.storages.size() == 0',
  },
  devices: {
    read: ({ devices }) => devices?.map((device) => [device.type, device.path]),
    name: 'devices',
    description: 'Devices, by type and path in the container.',
    message: 'the workload does not have this device',
    expression: { open: 'devices.all(d, ', before: '[d.Type, d.Path] in ', after: '', close: ')' },
    none: 'devices.size() == 0',
  },
  sysctls: {
    name: 'sysctls',
    description: 'Sysctls and their values.',
    message: 'the workload does not set this sysctl, or not to this value',
    expression: {
      open: 'request.OCI.Linux.Sysctl.all(k, ',
      before: '[k, request.OCI.Linux.Sysctl[k]] in ',
      after: '',
      close: ')',
    },
    none: 'request.OCI.Linux.Sysctl.size() == 0',
  },
  image: {
    read: ({ image }) => (image === undefined ? undefined : [image]),
    name: 'images',
    description:
      'The image that the host claims. The claim is not verified: it prevents mistakes, not attacks.',
    message: 'the host claims an image that the workload does not have',
    expression: { open: '', before: 'container.claimed.image in ', after: '', close: '' },
    none: 'container.claimed.image == ""',
  },
  path: {
    read: ({ path }) => (path === undefined ? undefined : [sourcePlace(path)]),
    name: 'files',
    description: 'Paths for copied files; a final slash includes everything below it.',
    message: 'the workload has no file at this path',
    expression: {
      open: '',
      before: '',
      after: '.exists(p, path == p || p.endsWith("/") && path.within(p))',
      close: '',
    },
    none: 'path == ""',
  },
  signal: {
    read: ({ signal }) => (signal === undefined ? undefined : [signal]),
    name: 'signals',
    description: 'Signals, as numbers.',
    message: 'this signal is never sent to the workload',
    ofAllContainers: 'gone',
    expression: { open: '', before: 'signal in ', after: '', close: '' },
    none: 'signal in []',
  },
};

/** All facts, in the order of their rules. */
export const facts: ReadonlyMap<FactName, FactRow> = new Map(
  (Object.keys(rows) as FactName[]).map((name) => [name, rows[name]]),
);
