import { maxPositions, type ProfileValues } from './profile.js';

const texts = { list: 'string' } as const;

/** A mount of the pod, in the container. */
const mount: ProfileValues = {
  to: { type: 'string', purpose: 'The mount point.' },
  type: { type: 'string', otherwise: 'bind', purpose: 'The type.' },
  from: {
    type: 'string',
    otherwise: '/run/kata-containers/shared/containers/',
    purpose: 'The source in the guest; a final slash includes everything below it.',
  },
  options: {
    type: texts,
    otherwise: ['rbind', 'rprivate', 'rw'],
    purpose: 'All options; one with a question mark is optional.',
  },
  name: {
    type: 'string',
    otherwise: '',
    purpose: 'The name of the file or directory of the host that is shared for it.',
  },
  name_pattern: {
    type: 'pattern',
    otherwise: '',
    purpose: 'The end of the source, if the name is not known: `/sandbox-.{8}-[^/]+$`.',
  },
  watched: {
    type: 'bool',
    otherwise: false,
    purpose: 'Whether the guest can keep a copy that follows the host’s directory.',
  },
};

const storage: ProfileValues = {
  driver: { type: 'string', purpose: 'The driver.' },
  type: { type: 'string', purpose: 'The filesystem.' },
  to: { type: 'string', purpose: 'The mount point; a final slash includes everything below it.' },
  options: {
    type: texts,
    otherwise: [],
    purpose: 'All options, also those of the driver; one with a question mark is optional.',
  },
};

const container: ProfileValues = {
  name: { type: 'string', purpose: 'The name in the pod; empty: the pause container.' },
  images: { type: texts, otherwise: [], purpose: 'Names of the image that the host may claim.' },
  args: { type: texts, otherwise: [], purpose: 'The command line.' },
  any_args: {
    type: 'bool',
    otherwise: false,
    purpose: 'Whether any command line is allowed: the input did not have the one of the image.',
  },
  last_args: {
    type: texts,
    otherwise: [],
    purpose: `The last words of the command line, at most ${maxPositions}, in place of all: the input did not have the entrypoint of the image.`,
  },
  env: { type: texts, otherwise: [], purpose: 'Variables with their values.' },
  any_env: { type: texts, otherwise: [], purpose: 'Names of variables with any value.' },
  env_like: {
    tables: {
      name: { type: 'string', purpose: 'The name.' },
      pattern: { type: 'pattern', purpose: 'The form of the value.' },
    },
    by: 'name',
    otherwise: [],
    purpose: 'Variables whose values the cluster chooses.',
  },
  other_env: {
    type: 'bool',
    otherwise: false,
    purpose:
      'Whether variables with other names are allowed, but those of the API server: the input did not have those of the image.',
  },
  optional_env: {
    type: texts,
    otherwise: [],
    purpose: 'Names of variables, among all these, that can be missing.',
  },
  cwd: { type: 'string', otherwise: '/', purpose: 'The working directory; `*`: any absolute one.' },
  user: {
    type: 'string',
    otherwise: '',
    purpose: 'The user and the group, as numbers: `999:999`; `*` in the place of either: any.',
  },
  groups: {
    type: texts,
    otherwise: [],
    purpose: 'Supplementary groups, as numbers; `user`: the group of the user; `*`: any.',
  },
  capabilities: {
    type: texts,
    otherwise: [
      'CAP_AUDIT_WRITE',
      'CAP_CHOWN',
      'CAP_DAC_OVERRIDE',
      'CAP_FOWNER',
      'CAP_FSETID',
      'CAP_KILL',
      'CAP_MKNOD',
      'CAP_NET_BIND_SERVICE',
      'CAP_NET_RAW',
      'CAP_SETFCAP',
      'CAP_SETGID',
      'CAP_SETPCAP',
      'CAP_SETUID',
      'CAP_SYS_CHROOT',
    ],
    purpose: 'Capabilities; without the key those that engines give by default.',
  },
  terminal: { type: 'bool', otherwise: false, purpose: 'Whether the process has a terminal.' },
  no_new_privileges: { type: 'bool', otherwise: false, purpose: 'The no_new_privs flag.' },
  read_only_root: { type: 'bool', otherwise: false, purpose: 'Whether the root filesystem is read-only.' },
  termination: {
    type: 'string',
    otherwise: '/dev/termination-log',
    purpose: 'The file of the termination message.',
  },
  mounts: { tables: mount, by: 'to', otherwise: [], purpose: 'The mounts of the pod.' },
  storages: {
    tables: storage,
    otherwise: [],
    purpose: 'The storages that the guest sets up for the mounts.',
  },
  exec: {
    type: { list: texts },
    otherwise: [],
    purpose: 'Command lines that may be executed: probes and hooks.',
  },
  exited: {
    type: texts,
    otherwise: [],
    purpose: 'Init containers that must have exited with 0 before.',
  },
  started: { type: texts, otherwise: [], purpose: 'Sidecar containers that must exist before.' },
  init: {
    type: 'bool',
    otherwise: false,
    purpose: 'Whether it is an init container: it runs to its end once.',
  },
  before: { type: texts, otherwise: [], purpose: 'Containers that must not exist yet.' },
};

/** What differs between the pods of a runtime. */
export const podValues: ProfileValues = {
  host_name: { type: 'pattern', purpose: 'The hostname of the pod.' },
  pod_name: { type: 'pattern', purpose: 'The name of the pod.' },
  namespace: {
    type: 'pattern',
    otherwise: '^[a-z0-9-]+$',
    purpose: 'The namespace; without the key any.',
  },
  annotations: { type: texts, otherwise: [], purpose: 'Names of the annotations of the pod.' },
  service_links: {
    type: 'bool',
    otherwise: false,
    purpose: 'Whether containers have variables of all services, or of the API server alone.',
  },
  signals: { type: { list: 'int' }, otherwise: [9n], purpose: 'Signals that runtimes send to containers.' },
  any_signal: {
    type: 'bool',
    otherwise: false,
    purpose: 'Whether any signal is sent: the input did not have the one that stops an image.',
  },
  volume_groups: { type: { list: 'int' }, otherwise: [], purpose: 'Groups of volumes (fsGroup).' },
  volumes: {
    type: { list: texts },
    otherwise: [],
    purpose: 'Mounts of one volume, each as `CONTAINER=MOUNT POINT`: only these share a source.',
  },
  app_armor: { type: texts, otherwise: [], purpose: 'AppArmor profiles beside the engine’s.' },
  container: { tables: container, by: 'name', purpose: 'The containers, the pause container first.' },
};

/** What runtimes have besides that resize volumes in memory. */
export const resizedValues: ProfileValues = {
  ...podValues,
  memory_volumes: {
    type: texts,
    otherwise: [],
    purpose: 'Mount points of the volumes in memory, which the runtime resizes.',
  },
};

/** What a guest without a shared filesystem has besides. */
export const copiedValues: ProfileValues = {
  ...resizedValues,
  copied: {
    type: texts,
    otherwise: [],
    purpose: 'Names of files and directories that are copied into the guest.',
  },
};
