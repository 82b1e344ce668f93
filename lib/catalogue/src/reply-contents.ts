import { type MethodName, methodNames } from './methods.js';

/** What the reply to a method tells its caller, the host (S40). */
export interface ReplyContent {
  /** By field of the reply's message, as in `agent.proto`. A message without fields tells that the call was carried out. */
  readonly fields: Readonly<Record<string, string>>;
  /** What Kata's reply or the kernel's answer also has, and this agent takes out or refuses; empty: nothing. */
  readonly withheld: string;
  /** Under which condition it is withheld; empty without one. */
  readonly condition: string;
  /** What an error of the method can tell beyond its request; empty: only what the request says. */
  readonly errors: string;
}

type Row = Partial<Pick<ReplyContent, 'fields' | 'withheld' | 'condition' | 'errors'>>;

const configured = 'privileged_containers = "refuse", so with any configuration that does not allow them';
const runtimeErrors = 'the last error of the OCI runtime, about the request, its cgroup or its program';
const hubErrors =
  'one sentence of the data hub, without quoted text, JSON and long words: they could be parts of a secret';
const output = {
  withheld: 'output of a stream that the caller may not read, and how much of it there is',
  condition: 'always: a denied read is refused before the stream is looked at',
};

/** A row for each method: the compiler rejects a method without one. */
const rows: { readonly [M in MethodName]: Row } = {
  CreateContainer: {
    errors: `${runtimeErrors}; whether a path of the request exists in the container's root or in a volume; ${hubErrors}`,
  },
  StartContainer: { errors: runtimeErrors },
  RemoveContainer: { errors: 'what of the container could not be removed: mount points and directories' },
  ExecProcess: { errors: `${runtimeErrors}, so whether a program is in the container` },
  SignalProcess: { errors: 'whether the process has ended' },
  WaitProcess: {
    fields: {
      status:
        'the exit code of the process, and when it ended. A workload that has to hide a result ends with one code',
    },
  },
  UpdateContainer: { errors: runtimeErrors },
  UpdateEphemeralMounts: {},
  StatsContainer: {
    fields: {
      cgroup_stats:
        'use of CPU (in ns), memory, processes, huge pages and disks of the container, from which its rhythm can be learnt. A host measures most of it by itself; `blocked_endpoints` takes the method out',
      network_stats: 'bytes and packets of the interfaces of the pod that the host has the other end of',
    },
    withheld: 'counters of loopback',
    condition: 'always',
  },
  PauseContainer: {},
  ResumeContainer: {},
  RemoveStaleVirtiofsShareMounts: {},
  GetDiagnosticData: {
    fields: {
      data: "the first 4 KiB of the container's termination message, a file of the share that the host has",
    },
    withheld: 'files of a bundle, of a root, of a volume of the pod, and below a link or another mount',
    condition: 'always',
  },
  WriteStdin: { fields: { len: 'how many bytes the process or its pipe has taken' } },
  ReadStdout: { fields: { data: 'what the process wrote' }, ...output },
  ReadStderr: { fields: { data: 'what the process wrote' }, ...output },
  CloseStdin: {},
  TtyWinResize: {},
  UpdateInterface: {
    fields: {
      device: 'as requested',
      name: 'as requested',
      IPAddresses: 'as requested',
      mtu: 'as requested',
      hwAddr: 'as requested',
      devicePath: 'as requested',
      type: 'as requested',
      raw_flags: 'as requested',
    },
    errors: 'the error of ip(8)',
  },
  UpdateRoutes: {
    fields: { Routes: 'the routes of the main table after the change' },
    errors: 'the error of ip(8)',
  },
  ListInterfaces: {
    fields: {
      Interfaces:
        "names, addresses and MTU of all interfaces of the pod, also of those that a container made, as a VPN's",
    },
    withheld: 'counters',
    condition: 'always',
  },
  ListRoutes: {
    fields: { Routes: 'the routes of the main table, also those that a container made' },
    withheld: 'other tables, and the table local',
    condition: 'always',
  },
  AddARPNeighbors: { errors: 'the error of ip(8)' },
  GetIPTables: {
    fields: {
      data: 'the rules of the packet filter, also those that a container made, with the text of their matches',
    },
    withheld: 'counters of chains and rules: each is 0',
    condition: 'always',
  },
  SetIPTables: {
    fields: { data: 'nothing: it is empty' },
    withheld:
      'answers of rules: matches that look at payload or size and targets that write about packets are refused, and a first rule exempts loopback',
    condition: configured,
    errors: 'the error of iptables-restore about the text of the request',
  },
  GetMetrics: {
    fields: {
      metrics:
        "use of the guest's CPUs, memory, disks and interfaces, of file systems that can run full with their mount points, and of the agent itself. The agent's own I/O includes output that nobody read",
    },
    withheld: 'counters of loopback',
    condition: 'always',
  },
  MemAgentMemcgSet: {},
  MemAgentCompactSet: {},
  CreateSandbox: { errors: hubErrors },
  DestroySandbox: {},
  OnlineCPUMem: {},
  ReseedRandomDev: {},
  GetGuestDetails: {
    fields: {
      mem_block_size_bytes: "a constant of the guest's kernel",
      agent_details: "the agent's version, its drivers, and whether the kernel has seccomp",
      support_mem_hotplug_probe: "whether the guest's kernel has a file",
    },
  },
  MemHotplugByProbe: {},
  SetGuestDateTime: {},
  CopyFile: {
    errors: "whether a path exists in the share, and of which type it is: they are the host's own files",
  },
  GetOOMEvent: {
    fields: { container_id: 'that a process of this container was killed by the OOM killer' },
    withheld: 'which process it was, and how much memory it had',
    condition: 'always',
  },
  AddSwap: {},
  AddSwapPath: {},
  GetVolumeStats: {
    fields: {
      usage: 'bytes and inodes of the file system of a volume',
      volume_condition: 'nothing: it is not set',
    },
    withheld: 'whether a path exists in a volume, in a bundle or in a root',
    condition: 'always',
  },
  ResizeVolume: {
    withheld: 'whether a path exists in a volume, in a bundle or in a root',
    condition: 'always',
    errors: 'the error of the kernel, and the size of the disk',
  },
  SetPolicy: { errors: 'the first line that cannot be read' },
};

/** The methods in the order of `agent.proto`, each with what its reply tells. */
export const replyContents: ReadonlyMap<MethodName, ReplyContent> = new Map(
  methodNames.map((method) => {
    const { fields = {}, withheld = '', condition = '', errors = '' } = rows[method];
    return [method, { fields, withheld, condition, errors }];
  }),
);
