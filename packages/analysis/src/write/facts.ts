import type { RequestFacts } from '@kata-agent/gate';
import type { Entry, FactName } from './fact-name.js';
import { sourcePlace } from './source-place.js';

/** How a fact of requests becomes a rule. */
export interface FactRow {
  /** The values of one recorded request; undefined: nothing is known of it. Absent: it is never recorded. */
  readonly read?: (facts: RequestFacts) => readonly Entry[] | undefined;
  /** The rule's name, after the method's own word. */
  readonly name: string;
  /** What the rule says, as a comment above it; may have several lines. */
  readonly says: string;
  /** What a refused caller is told. */
  readonly message: string;
  /** What tells values apart, for lists that are too long for one rule: of a request in CEL, and of a listed value. */
  readonly key?: { readonly cel: string; readonly of: (value: Entry) => string };
  /** Each value begins with the container's name already. */
  readonly namesContainers?: boolean;
  /** CEL; absent: there is a rule only when nobody wants any. `PROCESS` stands for the process of the request. */
  readonly expression?: {
    /** Around all: for each mount, for each name. */
    readonly open: string;
    readonly close: string;
    /** Around each list of values. */
    readonly before: string;
    readonly after: string;
    /** Before a list of those values that are `NAME=value`, where a fact has names alone, too. */
    readonly pairs?: string;
    /** After all lists taken together, instead of `before` and `after` around each: where these would be long. */
    readonly gathered?: string;
  };
  /** CEL when the list is empty. */
  readonly none: string;
}

/** Of a list the second element. */
function second(value: Entry): string {
  return typeof value === 'object' ? (value[1] ?? '') : '';
}

const rows: { readonly [F in FactName]: FactRow } = {
  command: {
    read: ({ command }) => (command === undefined ? undefined : [command]),
    name: 'commands',
    key: { cel: 'args[0]', of: String },
    says: 'What may run.',
    message: "this command is none of the workload's",
    expression: { open: 'args.size() > 0 && ', before: 'args[0] in ', after: '', close: '' },
    none: 'args.size() == 0',
  },
  commandLine: {
    name: 'commands',
    key: { cel: 'args[0]', of: second },
    says: 'What may run, and in which container: its name in the pod, then the whole command line.',
    message: "this command is none of the workload's, or not in this container",
    namesContainers: true,
    expression: { open: '', before: '[container.claimed.name] + args in ', after: '', close: '' },
    none: 'args.size() == 0',
  },
  environment: {
    read: ({ environment }) => environment,
    name: 'environment',
    key: { cel: 'name', of: String },
    says: 'The names of environment variables.',
    message: "the environment has a variable that is none of the workload's",
    expression: { open: 'env.all(name, ', before: 'name in ', after: '', close: ')' },
    none: 'env.size() == 0',
  },
  variables: {
    name: 'environment',
    key: { cel: 'name', of: (value) => String(value).split('=')[0] ?? '' },
    says: 'Environment variables with their values; a name that stands alone may have any.',
    message: "the environment has a variable, or a value of one, that is none of the workload's",
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
    name: 'folders',
    key: { cel: 'cwd', of: String },
    says: 'The folder that a command starts in.',
    message: "this working directory is none of the workload's",
    expression: { open: '', before: 'cwd in ', after: '', close: '' },
    none: 'cwd == ""',
  },
  user: {
    read: ({ user }) => (user === undefined ? undefined : [user]),
    name: 'users',
    says: 'Who it runs as: user and group, by number.',
    message: "this user is none of the workload's",
    expression: { open: '', before: 'string(user.UID) + ":" + string(user.GID) in ', after: '', close: '' },
    none: 'string(user.UID) + ":" + string(user.GID) in []',
  },
  groups: {
    name: 'groups',
    says: 'Groups besides that of the user, by number.',
    message: 'the workload is not in this group',
    expression: { open: 'user.AdditionalGids.all(g, ', before: 'string(g) in ', after: '', close: ')' },
    none: 'user.AdditionalGids.size() == 0',
  },
  terminal: {
    read: ({ terminal }) => (terminal === undefined ? undefined : terminal ? ['terminal'] : []),
    name: 'terminals',
    says: 'Whether it may have a terminal.',
    message: 'nothing in this workload has a terminal',
    none: '!terminal',
  },
  privileges: {
    name: 'privileges',
    says: 'Whether privileges that setuid programs give are kept from it: no_new_privs of Linux.',
    message: 'no_new_privs is not as the workload has it',
    expression: { open: '', before: 'string(PROCESS.NoNewPrivileges) in ', after: '', close: '' },
    none: 'string(PROCESS.NoNewPrivileges) in []',
  },
  capabilities: {
    read: ({ capabilities }) => capabilities,
    name: 'capabilities',
    says: 'Capabilities, in any of the five sets.',
    message: 'the workload has no such capability',
    expression: { open: 'capabilities.all(c, ', before: 'c in ', after: '', close: ')' },
    none: 'capabilities.size() == 0',
  },
  root: {
    name: 'roots',
    says: 'Whether the root filesystem is read-only.',
    message: 'the root filesystem is writable or read-only where it is not in the workload',
    expression: { open: '', before: 'string(request.OCI.Root.Readonly) in ', after: '', close: '' },
    none: 'string(request.OCI.Root.Readonly) in []',
  },
  mounts: {
    read: ({ mounts }) => mounts?.map((mount) => [mount.type, mount.destination]),
    name: 'mounts',
    key: { cel: 'm.destination', of: second },
    says: 'What is mounted, by type and place in the container.',
    message: 'the workload has no such mount',
    expression: { open: 'mounts.all(m, ', before: '[m.type, m.destination] in ', after: '', close: ')' },
    none: 'mounts.size() == 0',
  },
  sources: {
    read: ({ mounts }) => mounts?.map((mount) => sourcePlace(mount.source)),
    name: 'mount-sources',
    says: 'Where mounts come from in the guest; what ends with a slash stands for all below it.',
    message: 'nothing is mounted from there in this workload',
    expression: {
      open: 'mounts.all(m, ',
      before: '',
      after: '.exists(s, m.source == s || s.endsWith("/") && m.source.within(s))',
      close: ')',
    },
    none: 'mounts.size() == 0',
  },
  mountTable: {
    name: 'mounts',
    key: { cel: 'm.destination', of: second },
    says:
      'What is mounted: type, place in the container, source, options.\n' +
      'A source with a final slash stands for all below it; an option with a question mark may be missing.',
    message: 'the workload has no such mount',
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
    says: 'Storages of the guest: driver, filesystem, and the place, or the folder that it lies in.',
    message: 'the workload has no such storage',
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
    says:
      'Storages of the guest: driver, filesystem, place, options.\n' +
      'A place with a final slash stands for all below it; an option with a question mark may be missing.',
    message: 'the workload has no such storage',
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
    says: 'Devices, by type and path in the container.',
    message: 'the workload has no such device',
    expression: { open: 'devices.all(d, ', before: '[d.Type, d.Path] in ', after: '', close: ')' },
    none: 'devices.size() == 0',
  },
  sysctls: {
    name: 'sysctls',
    says: "Parameters of the guest's kernel, and their values.",
    message: 'the workload sets no such parameter of the kernel, or not to this value',
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
    says: 'The image that the host claims: its word alone, which keeps out mistakes and nothing else.',
    message: "the host claims an image that is none of the workload's",
    expression: { open: '', before: 'container.claimed.image in ', after: '', close: '' },
    none: 'container.claimed.image == ""',
  },
  path: {
    read: ({ path }) => (path === undefined ? undefined : [sourcePlace(path)]),
    name: 'files',
    says: 'Where files may be put; what ends with a slash stands for all below it.',
    message: 'no file of the workload belongs there',
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
    says: 'Signals, by number.',
    message: 'this signal is never sent to the workload',
    expression: { open: '', before: 'signal in ', after: '', close: '' },
    none: 'signal in []',
  },
};

/** All facts, in the order of their rules. */
export const facts: ReadonlyMap<FactName, FactRow> = new Map(
  (Object.keys(rows) as FactName[]).map((name) => [name, rows[name]]),
);
