import type { MethodName } from './methods.js';

/** The name of a group as written in a configuration's lists. */
export type GroupName =
  | '@pod'
  | '@exec'
  | '@stdio'
  | '@logs'
  | '@stats'
  | '@network'
  | '@iptables'
  | '@resize'
  | '@swap'
  | '@memory'
  | '@pause'
  | '@copy'
  | '@volumes'
  | '@diagnostics'
  | '@template'
  | '@policy';

/** A named set of related methods. */
export interface Group {
  readonly name: GroupName;
  /** What allowing the group permits, in one sentence. */
  readonly purpose: string;
  /** Of all releases; `membersOf` selects those of one release. */
  readonly methods: readonly MethodName[];
}

/** No other group contains a method of `@pod`, so blocking another group never breaks a pod. */
const table: { readonly [G in GroupName]: Omit<Group, 'name'> } = {
  '@pod': {
    purpose: "The minimum for a working pod with either of Kata's runtimes, from its network to its removal.",
    methods: [
      'CreateSandbox',
      'DestroySandbox',
      'GetGuestDetails',
      'UpdateInterface',
      'UpdateRoutes',
      'AddARPNeighbors',
      'CreateContainer',
      'OnlineCPUMem',
      'StartContainer',
      'WaitProcess',
      'SignalProcess',
      'RemoveContainer',
      'RemoveStaleVirtiofsShareMounts',
      'GetOOMEvent',
    ],
  },
  '@exec': {
    purpose: 'Run further processes in containers; their input and output need @stdio too.',
    methods: ['ExecProcess'],
  },
  '@stdio': {
    purpose: 'Read and write the standard streams and terminals of processes.',
    methods: ['ReadStdout', 'ReadStderr', 'WriteStdin', 'CloseStdin', 'TtyWinResize'],
  },
  '@logs': {
    purpose: 'Read the output of processes, without writing to them.',
    methods: ['ReadStdout', 'ReadStderr'],
  },
  '@stats': {
    purpose: 'Read resource counters of containers and of the guest.',
    methods: ['StatsContainer', 'GetMetrics'],
  },
  '@network': {
    purpose: "List the guest's interfaces and routes; setting them up is part of @pod.",
    methods: ['ListInterfaces', 'ListRoutes'],
  },
  '@iptables': {
    purpose: "Read and replace the guest's packet filter.",
    methods: ['GetIPTables', 'SetIPTables'],
  },
  '@resize': {
    purpose: 'Change the resources of a running container, and adapt the guest.',
    methods: ['UpdateContainer', 'UpdateEphemeralMounts', 'MemHotplugByProbe'],
  },
  '@swap': {
    purpose: 'Let the guest swap to a device of the host.',
    methods: ['AddSwap', 'AddSwapPath'],
  },
  '@memory': {
    purpose: 'Tune the memory agent, which reclaims and compacts memory of the guest.',
    methods: ['MemAgentMemcgSet', 'MemAgentCompactSet'],
  },
  '@pause': {
    purpose: 'Freeze and resume the processes of a container.',
    methods: ['PauseContainer', 'ResumeContainer'],
  },
  '@copy': {
    purpose: 'Copy files into the guest, for pods without a shared filesystem.',
    methods: ['CopyFile'],
  },
  '@volumes': {
    purpose: 'Read the use of directly assigned volumes, and resize them.',
    methods: ['GetVolumeStats', 'ResizeVolume'],
  },
  '@diagnostics': {
    purpose: 'Fetch the termination messages of containers.',
    methods: ['GetDiagnosticData'],
  },
  '@template': {
    purpose: 'Set random seed and time of a virtual machine cloned from a template.',
    methods: ['ReseedRandomDev', 'SetGuestDateTime'],
  },
  '@policy': {
    purpose: 'Narrow what is served while the agent runs.',
    methods: ['SetPolicy'],
  },
};

/** All groups by name. */
export const groups: ReadonlyMap<GroupName, Group> = new Map(
  (Object.keys(table) as GroupName[]).map((name) => [name, Object.freeze({ name, ...table[name] })]),
);

/** Reports whether `text` is exactly the name of a group. */
export function isGroupName(text: string): text is GroupName {
  return Object.hasOwn(table, text);
}
