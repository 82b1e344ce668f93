import { create, type DescMethod, type Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import {
  AgentService,
  type MemAgentCompactConfig,
  type MemAgentMemcgConfig,
} from '@kata-agent/protocol/agent';
import { readCreateContainer, readExecProcess, type ReadRequest } from './container-form.js';
import { difference } from './difference.js';
import type { Claims, FormContext } from './forwarded-sandbox.js';
import { readResources } from './linux-form.js';
import { readAddNeighbors, readUpdateInterface, readUpdateRoutes } from './network-forms.js';
import { checkCleanPath, checkCount, checkRange, malformed, NotAlike, quoted, refused } from './values.js';
import { readCopyFile, readCreateSandbox, readUpdateEphemeralMounts } from './sandbox-forms.js';
import { checkDiskAddress } from './disk-storages.js';

const methods = AgentService.method;

/**
 * - `alike`: both agents read each request of this type in the same way; it is built anew nonetheless.
 * - `built`: only requests in the forms of Kata's runtimes are forwarded, built anew from what was read; others are refused, with the field.
 * - `limited`: numbers that Kata's agent converts to a smaller type, or fields that it does not read, are refused.
 * - `unserved`: no request is forwarded.
 * - `here`: this agent answers it.
 */
export type Forwarding = 'alike' | 'built' | 'limited' | 'unserved' | 'here';

export interface MethodForm {
  readonly forwarding: Forwarding;
  /** Where Kata's agent carries it out, at 7c6ba40c54. */
  readonly kata: string;
  /** What is forwarded, and why no more: a sentence without a period, for docs/forward-mode.md. */
  readonly note: string;
  /** Builds the request that is sent. @throws NotAlike */
  readonly read: (request: Message, context: FormContext) => ReadRequest<Message>;
}

const nothing: Claims = {};

type MethodKey = keyof typeof methods;
type RequestOf<K extends MethodKey> = (typeof methods)[K] extends { readonly input: infer D }
  ? D extends { readonly typeName: string } & Parameters<typeof create>[0]
    ? ReturnType<typeof create<D>>
    : never
  : never;

type Row = Omit<MethodForm, 'read'>;

/** A method whose requests add nothing to the sandbox. */
function form<K extends MethodKey>(
  _key: K,
  row: Row,
  build: (request: RequestOf<K>, context: FormContext) => Message,
): MethodForm {
  return {
    ...row,
    read: (request, context) => ({ message: build(request as RequestOf<K>, context), claims: nothing }),
  };
}

function claiming<K extends MethodKey>(
  _key: K,
  row: Row,
  read: (request: RequestOf<K>, context: FormContext) => ReadRequest<Message>,
): MethodForm {
  return { ...row, read: (request, context) => read(request as RequestOf<K>, context) };
}

/** Methods whose request is empty, or has an id that is looked up as it is, or bytes. */
function alike(key: MethodKey, kata: string, note: string, ...fields: readonly string[]): MethodForm {
  return form(key, { forwarding: 'alike', kata, note }, (request) => {
    const known = new Set(fields);
    const values = Object.entries(request as Readonly<Record<string, unknown>>).filter(([name]) =>
      known.has(name),
    );
    return create(methods[key].input, Object.fromEntries(values) as never);
  });
}

const lookedUp = 'the id is looked up as text';
const aProcess = 'the ids are looked up as text';
const empty = 'the request has no fields';

/** Requests that no form builds. */
function unserved(kata: string, note: string, help: string): MethodForm {
  return {
    forwarding: 'unserved',
    kata,
    note,
    read: () => {
      throw new NotAlike('unserved', `${note}; help: ${help}`);
    },
  };
}

/** The most bytes that a read may ask for: a reply has no more, and the inner agent allocates as many. */
const maxRead = 4 * 2 ** 20;

/**
 * What becomes of each method with `[agent] forward`: compared with Kata's agent, line by line. docs/forward-mode.md has the same
 * table, and a test compares them.
 */
export const methodForms: Readonly<Record<MethodName, MethodForm>> = {
  CreateSandbox: claiming(
    'createSandbox',
    {
      forwarding: 'built',
      kata: 'src/agent/src/rpc.rs:1528',
      note: 'once; storages in the forms of the runtimes; no guest hooks and no kernel modules',
    },
    readCreateSandbox,
  ),
  DestroySandbox: alike('destroySandbox', 'src/agent/src/rpc.rs:1586', empty),
  GetGuestDetails: alike(
    'getGuestDetails',
    'src/agent/src/rpc.rs:1669',
    'two flags',
    'memBlockSize',
    'memHotplugProbe',
  ),
  GetOOMEvent: alike('getOOMEvent', 'src/agent/src/rpc.rs:1762', empty),
  ReseedRandomDev: alike('reseedRandomDev', 'src/agent/src/rpc.rs:1656', 'bytes', 'data'),
  SetGuestDateTime: form(
    'setGuestDateTime',
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:2285',
      note: 'seconds from 0, microseconds below a million',
    },
    ({ Sec, Usec }) => {
      checkRange('Sec', Sec, 0, 2n ** 40n);
      checkRange('Usec', Usec, 0, 999_999);
      return create(methods.setGuestDateTime.input, { Sec, Usec });
    },
  ),
  SetPolicy: {
    forwarding: 'here',
    kata: 'src/agent/src/rpc.rs:1862',
    note: 'narrows this agent; the policy of the inner one is that of its image',
    read: (message) => ({ message, claims: nothing }),
  },
  CreateContainer: claiming(
    'createContainer',
    {
      forwarding: 'built',
      kata: 'src/agent/src/rpc.rs:247',
      note: 'root, storages, mounts, devices and process in the forms of the runtimes; no hooks, shared_mounts or string_user',
    },
    readCreateContainer,
  ),
  StartContainer: alike('startContainer', 'src/agent/src/rpc.rs:420', lookedUp, 'containerId'),
  RemoveContainer: alike(
    'removeContainer',
    'src/agent/src/rpc.rs:445',
    `${lookedUp}; seconds`,
    'containerId',
    'timeout',
  ),
  UpdateContainer: form(
    'updateContainer',
    {
      forwarding: 'built',
      kata: 'src/agent/src/rpc.rs:1009',
      note: 'limits in the ranges of its types; device rules that both read alike; no network class, no weights of single disks',
    },
    ({ containerId, resources }, context) =>
      create(methods.updateContainer.input, {
        containerId,
        ...(resources === undefined ? {} : { resources: readResources(resources, 'resources', context) }),
      }),
  ),
  StatsContainer: alike('statsContainer', 'src/agent/src/rpc.rs:1029', lookedUp, 'containerId'),
  PauseContainer: alike('pauseContainer', 'src/agent/src/rpc.rs:1068', lookedUp, 'containerId'),
  ResumeContainer: alike('resumeContainer', 'src/agent/src/rpc.rs:1084', lookedUp, 'containerId'),
  ExecProcess: claiming(
    'execProcess',
    {
      forwarding: 'built',
      kata: 'src/agent/src/rpc.rs:488',
      note: 'an id of its own, and a process as in CreateContainer; no string_user',
    },
    readExecProcess,
  ),
  SignalProcess: form(
    'signalProcess',
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:523',
      note: `${aProcess}; signals 0 to 64, since the number becomes an i32`,
    },
    ({ containerId, execId, signal }) => {
      checkRange('signal', signal, 0, 64);
      return create(methods.signalProcess.input, { containerId, execId, signal });
    },
  ),
  WaitProcess: alike('waitProcess', 'src/agent/src/rpc.rs:644', aProcess, 'containerId', 'execId'),
  WriteStdin: alike(
    'writeStdin',
    'src/agent/src/rpc.rs:778',
    `${aProcess}; bytes`,
    'containerId',
    'execId',
    'data',
  ),
  ReadStdout: readStream('readStdout'),
  ReadStderr: readStream('readStderr'),
  CloseStdin: alike('closeStdin', 'src/agent/src/rpc.rs:1157', aProcess, 'containerId', 'execId'),
  TtyWinResize: form(
    'ttyWinResize',
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:1197',
      note: `${aProcess}; rows and columns of a u16`,
    },
    ({ containerId, execId, row, column }) => {
      checkRange('row', row, 0, 65_535);
      checkRange('column', column, 0, 65_535);
      return create(methods.ttyWinResize.input, { containerId, execId, row, column });
    },
  ),
  UpdateInterface: form(
    'updateInterface',
    {
      forwarding: 'built',
      kata: 'src/agent/src/netlink.rs:110',
      note: 'a hardware address, the MTU of an interface, addresses with their own family and a prefix; nothing of loopback',
    },
    readUpdateInterface,
  ),
  UpdateRoutes: form(
    'updateRoutes',
    {
      forwarding: 'built',
      kata: 'src/agent/src/netlink.rs:509',
      note: 'addresses of the family of the route, a scope of a u8; nothing of loopback',
    },
    readUpdateRoutes,
  ),
  ListInterfaces: alike('listInterfaces', 'src/agent/src/rpc.rs:1482', empty),
  ListRoutes: alike('listRoutes', 'src/agent/src/rpc.rs:1505', empty),
  AddARPNeighbors: form(
    'addARPNeighbors',
    {
      forwarding: 'built',
      kata: 'src/agent/src/netlink.rs:700',
      note: 'addresses with their own family, state and flags of a u8; nothing of loopback',
    },
    readAddNeighbors,
  ),
  GetIPTables: alike('getIPTables', 'src/agent/src/rpc.rs:1350', 'a flag', 'isIpv6'),
  SetIPTables: unserved(
    'src/agent/src/rpc.rs:1386',
    'the text would go to iptables-restore as it is, which reads loopback and can start programs',
    'set the packet filter in the guest image',
  ),
  OnlineCPUMem: alike(
    'onlineCPUMem',
    'src/agent/src/sandbox.rs:349',
    'numbers of the same type',
    'wait',
    'nbCpus',
    'cpuOnly',
  ),
  MemHotplugByProbe: form(
    'memHotplugByProbe',
    { forwarding: 'limited', kata: 'src/agent/src/rpc.rs:2278', note: 'at most 256 addresses' },
    ({ memHotplugProbeAddr }) => {
      checkCount('memHotplugProbeAddr', memHotplugProbeAddr);
      return create(methods.memHotplugByProbe.input, { memHotplugProbeAddr: [...memHotplugProbeAddr] });
    },
  ),
  AddSwap: form(
    'addSwap',
    { forwarding: 'limited', kata: 'src/agent/src/rpc.rs:2474', note: 'slots of a PCI path, 0 to 31' },
    ({ PCIPath }) => {
      if (PCIPath.length === 0 || PCIPath.length > 16) throw malformed('PCIPath', 'it has 1 to 16 slots');
      for (const slot of PCIPath) checkRange('PCIPath', slot, 0, 31);
      return create(methods.addSwap.input, { PCIPath: [...PCIPath] });
    },
  ),
  AddSwapPath: form(
    'addSwapPath',
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:2496',
      note: '`/dev/vdX`, where the configuration trusts the host: another path is a file of the guest',
    },
    ({ path }, context) => {
      checkDiskAddress('path', 'mmioblk', path, context);
      return create(methods.addSwapPath.input, { path });
    },
  ),
  MemAgentMemcgSet: form(
    'memAgentMemcgSet',
    { forwarding: 'limited', kata: 'src/agent/src/rpc.rs:909', note: 'percentages and swappiness of a u8' },
    (request) => {
      const { swappinessMax, periodPsiPercentLimit, evictionPsiPercentLimit } = request;
      checkBytes({ swappinessMax, periodPsiPercentLimit, evictionPsiPercentLimit });
      return create(
        methods.memAgentMemcgSet.input,
        withoutUndefined<MemAgentMemcgConfig>(request, [
          'disabled',
          'swap',
          'swappinessMax',
          'periodSecs',
          'periodPsiPercentLimit',
          'evictionPsiPercentLimit',
          'evictionRunAgingCountMin',
        ]),
      );
    },
  ),
  MemAgentCompactSet: form(
    'memAgentCompactSet',
    { forwarding: 'limited', kata: 'src/agent/src/rpc.rs:926', note: 'percentages and the order of a u8' },
    (request) => {
      const { periodPsiPercentLimit, compactPsiPercentLimit, compactOrder } = request;
      checkBytes({ periodPsiPercentLimit, compactPsiPercentLimit, compactOrder });
      return create(
        methods.memAgentCompactSet.input,
        withoutUndefined<MemAgentCompactConfig>(request, [
          'disabled',
          'periodSecs',
          'periodPsiPercentLimit',
          'compactPsiPercentLimit',
          'compactSecMax',
          'compactOrder',
          'compactThreshold',
          'compactForceTimes',
        ]),
      );
    },
  ),
  CopyFile: claiming(
    'copyFile',
    {
      forwarding: 'built',
      kata: 'src/agent/src/rpc.rs:2321',
      note: 'files, directories and links of volumes; a link leads to a name in its own directory of a volume',
    },
    readCopyFile,
  ),
  UpdateEphemeralMounts: form(
    'updateEphemeralMounts',
    {
      forwarding: 'built',
      kata: 'src/agent/src/storage/ephemeral_handler.rs:182',
      note: 'a new size for a volume in memory that was mounted before',
    },
    readUpdateEphemeralMounts,
  ),
  RemoveStaleVirtiofsShareMounts: alike('removeStaleVirtiofsShareMounts', 'src/agent/src/rpc.rs:1100', empty),
  GetVolumeStats: form(
    'getVolumeStats',
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:1786',
      note: 'the mount point of a storage: the path is opened in the guest',
    },
    ({ volumeGuestPath }, context) => {
      checkVolume(volumeGuestPath, context);
      return create(methods.getVolumeStats.input, { volumeGuestPath });
    },
  ),
  ResizeVolume: form(
    'resizeVolume',
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:1821',
      note: 'the mount point of a storage; the inner agent answers UNIMPLEMENTED',
    },
    ({ volumeGuestPath, size }, context) => {
      checkVolume(volumeGuestPath, context);
      return create(methods.resizeVolume.input, { volumeGuestPath, size });
    },
  ),
  GetMetrics: alike('getMetrics', 'src/agent/src/rpc.rs:1748', empty),
  GetDiagnosticData: form(
    'getDiagnosticData',
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:715',
      note: 'the termination message, whose file CreateContainer has checked',
    },
    ({ logType, containerId }) => {
      if (logType !== 'termination_log')
        throw refused('log_type', `${quoted(logType)} is not "termination_log"`);
      return create(methods.getDiagnosticData.input, { logType, containerId });
    },
  ),
};

function readStream(key: 'readStdout' | 'readStderr'): MethodForm {
  return form(
    key,
    {
      forwarding: 'limited',
      kata: 'src/agent/src/rpc.rs:814',
      note: `${aProcess}; at most 4 MiB, which are allocated at once`,
    },
    ({ containerId, execId, len }) => {
      checkRange('len', len, 0, maxRead);
      return create(methods[key].input, { containerId, execId, len });
    },
  );
}

function checkBytes(numbers: Readonly<Record<string, number | undefined>>): void {
  for (const [name, number] of Object.entries(numbers))
    if (number !== undefined) checkRange(name, number, 0, 255);
}

function withoutUndefined<M extends object>(message: M, names: readonly (keyof M & string)[]): Partial<M> {
  const entries = names
    .map((name) => [name, message[name]] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<M>;
}

function checkVolume(path: string, { sandbox }: FormContext): void {
  checkCleanPath('volume_guest_path', path);
  if (!sandbox.hasMountPoint(path))
    throw refused('volume_guest_path', `${quoted(path)} is not the mount point of a storage`);
}

/**
 * Reads a request, and returns the one that is sent instead: built from what was read, and equal in meaning. A field that no form
 * reads, also one of a later release, is refused by its name.
 *
 * @throws NotAlike
 */
export function readRequest(
  method: DescMethod,
  request: Message,
  context: FormContext,
): ReadRequest<Message> {
  const found = methodForms[method.name as MethodName];
  const read = found.read(request, context);
  const field = difference(method.input, request, read.message);
  if (field !== undefined) throw refused(field, 'it is not forwarded', 'leave it out');
  context.sandbox.check(read.claims);
  return read;
}
