import type { MethodName } from './methods.js';

/** The name of a group, as it stands in a configuration's lists. */
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

/** A natural set of methods under one name. */
export interface Group {
  readonly name: GroupName;
  /** One sentence: what whoever allows the group gets. */
  readonly purpose: string;
  /** In every release; `membersOf` knows which of them a given release has. */
  readonly methods: readonly MethodName[];
}

/**
 * No other group holds a method of `@pod`, so that blocking a group never takes from a pod what it needs to live.
 */
const table: { readonly [G in GroupName]: Omit<Group, 'name'> } = {
  '@pod': {
    purpose:
      "The least that a working pod needs with either of Kata's runtimes: from its network to its removal.",
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
    purpose: 'Run further processes in containers; to see or feed them takes @stdio too.',
    methods: ['ExecProcess'],
  },
  '@stdio': {
    purpose: 'Read and write the standard streams and terminals of processes.',
    methods: ['ReadStdout', 'ReadStderr', 'WriteStdin', 'CloseStdin', 'TtyWinResize'],
  },
  '@logs': {
    purpose: 'Read what processes print, without a way to write to them.',
    methods: ['ReadStdout', 'ReadStderr'],
  },
  '@stats': {
    purpose: 'Read resource counters of containers and of the guest.',
    methods: ['StatsContainer', 'GetMetrics'],
  },
  '@network': {
    purpose: "Look at the guest's interfaces and routes; to set them up is part of @pod.",
    methods: ['ListInterfaces', 'ListRoutes'],
  },
  '@iptables': {
    purpose: "Read and replace the guest's packet filter.",
    methods: ['GetIPTables', 'SetIPTables'],
  },
  '@resize': {
    purpose: 'Change the resources of a running container, and let the guest follow.',
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
    purpose: 'Freeze the processes of a container and let them run again.',
    methods: ['PauseContainer', 'ResumeContainer'],
  },
  '@copy': {
    purpose: 'Put files into the guest, which pods without a shared filesystem need.',
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
    purpose: 'Give a virtual machine that was cloned from a template its own randomness and the time.',
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

/** Whether `text` is, to the letter, the name of a group. */
export function isGroupName(text: string): text is GroupName {
  return Object.hasOwn(table, text);
}
