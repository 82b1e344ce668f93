import type { Change, Decided } from './decided-changes.js';

/** Changed requests: those of a method, of a field with this name or below it. */
interface Shown {
  readonly method: string;
  /** Absent: the method is in no document. */
  readonly field?: string;
  readonly kind?: string;
  /** A regular expression for the change's text. */
  readonly detail?: RegExp;
}

/** A difference between the two, which changed requests show. */
interface Difference {
  readonly what: string;
  /** What genpolicy's rules do: read. */
  readonly genpolicy: string;
  readonly here: string;
  readonly shown: readonly Shown[];
}

const create = 'CreateContainer';

/** Each is served here. */
export const genpolicyStricter: readonly Difference[] = [
  {
    what: "fewer groups than the pod's",
    genpolicy: 'refused: the set has to be the same',
    here: "served: engines omit the user's own group, and fewer groups give less access",
    shown: [{ method: create, field: 'OCI.Process.User.AdditionalGids', kind: 'less' }],
  },
  {
    what: 'another order of mount options, of namespaces, of options of storages',
    genpolicy: 'refused: lists have to be equal',
    here: 'served: it has no meaning there',
    shown: [
      { method: create, field: 'OCI.Mounts[].options', kind: 'order' },
      { method: create, field: 'OCI.Linux.Namespaces', kind: 'order' },
      { method: create, field: 'storages[].driver_options', kind: 'order' },
    ],
  },
  {
    what: 'an option of a mount or a storage twice',
    genpolicy: 'refused: lists have to be equal',
    here: 'served: a duplicate has no effect',
    shown: [
      { method: create, field: 'OCI.Mounts[].options', kind: 'more', detail: /twice/ },
      { method: create, field: 'storages[].driver_options', kind: 'more', detail: /twice/ },
      { method: 'CreateSandbox', field: 'storages[].options', kind: 'more', detail: /twice/ },
    ],
  },
  {
    what: 'an empty `Hooks`',
    genpolicy: 'refused',
    here: 'served: it has no effect, and runtime-rs sends one',
    shown: [{ method: create, field: 'OCI.Hooks', kind: 'added', detail: /^empty$/ }],
  },
  {
    what: "the sandbox's id, name and namespace and `container_type`, absent from annotations",
    genpolicy: 'refused',
    here: 'served: engines send different ones; present ones have to match',
    shown: ['sandbox-id', 'sandbox-name', 'sandbox-namespace']
      .map((name) => `io.kubernetes.cri.${name}`)
      .concat('io.katacontainers.pkg.oci.container_type')
      .map((name) => ({ method: create, field: `OCI.Annotations{${name}}`, kind: 'less' })),
  },
  {
    what: "the annotations of the sandbox's log directory and of nerdctl's network namespace, with another path of the host",
    genpolicy: 'refused: a pattern, and absent from containers but the pause container',
    here: 'served: no code of the guest reads them',
    shown: ['io.kubernetes.cri.sandbox-log-directory', 'nerdctl/network-namespace'].map((name) => ({
      method: create,
      field: `OCI.Annotations{${name}}`,
      kind: 'more',
    })),
  },
  {
    what: 'an absent `fs_group` of a volume',
    genpolicy: 'refused',
    here: 'served: the volume keeps its group',
    shown: [{ method: create, field: 'storages[].fs_group', kind: 'removed', detail: /: absent$/ }],
  },
  {
    what: 'capabilities of an exec',
    genpolicy: 'refused',
    here: "served if they are the container's: runtimes differ",
    shown: [{ method: 'ExecProcess', field: 'process.Capabilities', kind: 'order' }],
  },
  {
    what: '`GetDiagnosticData`',
    genpolicy: 'refused by default',
    here: "served: a runtime of Kata 4.1 reads the container's termination message so",
    shown: [{ method: 'GetDiagnosticData', field: 'log_type' }],
  },
];

/** Each is refused here. */
export const ownStricter: readonly Difference[] = [
  {
    what: 'another image for the guest to pull',
    genpolicy: 'served: not compared',
    here: "refused: one of the document's names, with a digest if the pod has one",
    shown: [
      { method: create, field: 'storages[].source', detail: /\/rootfs: / },
      { method: create, field: 'OCI.Annotations{io.kubernetes.cri.image-name}' },
    ],
  },
  {
    what: 'a variable or a mount of the pod that is missing',
    genpolicy: 'served: each that is there is compared',
    here: 'refused; services are not of the pod, and may be missing',
    shown: [
      {
        method: create,
        field: 'OCI.Process.Env',
        kind: 'less',
        detail: /^without (?!NEIGHBOUR_|KUBERNETES_SERVICE_PORT_HTTPS=)/,
      },
      { method: create, field: 'OCI.Mounts', kind: 'less' },
    ],
  },
  {
    what: 'a sysctl of the pod that is missing',
    genpolicy: 'served: each that is there is compared',
    here: "refused; the engine's may be missing",
    shown: [{ method: create, field: 'OCI.Linux.Sysctl{net.ipv4.ip_local_port_range}' }],
  },
  {
    what: 'another `HOSTNAME`',
    genpolicy: 'served: any',
    here: "refused; of a generated name those that begin with the pod's are served",
    shown: [{ method: create, field: 'OCI.Process.Env[]', detail: /^HOSTNAME=(?!worker-).* to HOSTNAME=/ }],
  },
  {
    what: 'CopyFile with another name after the prefix',
    genpolicy: 'served: any',
    here: "refused: the names are those of the pod's volumes and of the engine's files",
    shown: [{ method: 'CopyFile', field: 'path', kind: 'value' }],
  },
  {
    what: "more after the source of a mount, or its directory's parent",
    genpolicy: "served where the document's pattern has no end",
    here: 'refused',
    shown: [{ method: create, field: 'OCI.Mounts[].source' }],
  },
  {
    what: 'another `Hostname`, `CgroupsPath`, `Rlimits`, `ApparmorProfile`, `ConsoleSize`, a port for streams',
    genpolicy: 'served: not read',
    here: "refused; of a generated name the host names that begin with the pod's are served",
    shown: [
      { method: create, field: 'OCI.Hostname', kind: 'value', detail: /^(?!worker-)./ },
      { method: create, field: 'OCI.Linux.CgroupsPath' },
      { method: create, field: 'OCI.Process.Rlimits' },
      { method: create, field: 'OCI.Process.ApparmorProfile' },
      { method: create, field: 'OCI.Process.ConsoleSize' },
      { method: create, field: 'stdin_port' },
      { method: create, field: 'stdout_port' },
      { method: create, field: 'stderr_port' },
    ],
  },
  {
    what: 'resolvers and another host name of the sandbox',
    genpolicy: 'served: not read',
    here: "refused; a generated name's as above",
    shown: [
      { method: 'CreateSandbox', field: 'dns' },
      { method: 'CreateSandbox', field: 'hostname', kind: 'value', detail: /^(?!worker-)./ },
    ],
  },
  {
    what: 'an annotation `io.kubernetes.cri.other`',
    genpolicy: 'served: any key that begins so',
    here: 'refused: keys are those of the engine, of the runtime and of the pod',
    shown: [
      { method: create, field: 'OCI.Annotations', kind: 'more', detail: /^io\.kubernetes\.cri\.other$/ },
    ],
  },
  {
    what: 'a second container like one of the pod, with an id of its own',
    genpolicy: 'served: the state has one entry for each id',
    here: 'refused',
    shown: [{ method: create, field: 'container_id', kind: 'twice' }],
  },
  {
    what: 'a signal that neither the kubelet nor the pod sends',
    genpolicy: 'served: not read',
    here: 'refused',
    shown: [{ method: 'SignalProcess', field: 'signal' }],
  },
  {
    what: '`TtyWinResize`, `StatsContainer`',
    genpolicy: 'served',
    here: 'refused: no pod of these has a terminal, and the document has no statistics',
    shown: [{ method: 'TtyWinResize' }, { method: 'StatsContainer' }],
  },
];

/** Returns what the changed requests do not show, for people; empty: they show each difference. */
export function unshownDifferences({ changes, endpoints }: Decided): readonly string[] {
  const documents = new Map(endpoints.map((each) => [each.method, each.documents]));
  const text = ({ what }: Difference, { method, field = '' }: Shown): string => `${what}: ${method} ${field}`;
  return [
    ...genpolicyStricter.flatMap((each) =>
      each.shown
        .filter((shown) => !matching(changes, shown).some(({ refusedBy }) => refusedBy === undefined))
        .map((shown) => `${text(each, shown)} is not served`),
    ),
    ...ownStricter.flatMap((each) =>
      each.shown.flatMap((shown) => {
        if (shown.field === undefined)
          return documents.get(shown.method) === 0 ? [] : `${text(each, shown)} is served`;
        const found = matching(changes, shown);
        if (found.length === 0) return `${text(each, shown)} is not changed`;
        return found
          .filter(({ refusedBy }) => refusedBy === undefined)
          .map(({ pod, detail }) => `${text(each, shown)} ${detail} is served (${pod})`);
      }),
    ),
  ];
}

function matching(
  changes: readonly Change[],
  { method, field = '', kind, detail }: Shown,
): readonly Change[] {
  return changes.filter(
    (change) =>
      change.method === method &&
      (change.field === field || change.field.startsWith(`${field}.`) || change.field === `${field}[]`) &&
      (kind === undefined || change.kind === kind) &&
      (detail?.test(change.detail) ?? true),
  );
}
