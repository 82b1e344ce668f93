import { sharedDirectory } from '@kata-agent/catalogue';
import { isMessage } from '@bufbuild/protobuf';
import { CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import {
  celLiteral,
  type ExpectedCall,
  isLocalVolume,
  layerOption,
  localDirectory,
  namesHostFiles,
  pullsImages,
  type RuntimeSetup,
  type Workload,
  wrappedList,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { longestExpression } from '../write/rule-expression.js';
import { asCreate, eachContainer, mountsTwice } from './each-container.js';
import { everyPod } from './every-pod.js';

const shared = `${sharedDirectory}/`;

const notTheSource = 'this is not the source of this mount';

/** Rules on the relation between mounts and storages of a container. */
export function mountRules(workloads: readonly Workload[], setup: RuntimeSetup): readonly ExtraRule[] {
  const volumes = workloads.flatMap((workload) => [...workload.volumes.values()]);
  const local = volumes.filter((volume) => isLocalVolume(volume, setup)).map(({ name }) => name);
  const rows = [own([...new Set(local)], setup), prepared(setup), storages(workloads)];
  return [
    ...everyPod('mounts-unique'),
    ...rows.map((row) => ({ ...row, method: 'CreateContainer' as const })),
    ...(local.length === 0 ? [] : everyPod('local-volumes')),
    ...(pullsImages(setup) ? everyPod('pulled-images') : []),
  ];
}

type Row = Omit<ExtraRule, 'method'>;

/** `local`: names of volumes whose directory is in that of the pause container. */
function own(local: readonly string[], setup: RuntimeSetup): Row {
  const { before, after } = localDirectory(setup);
  const directory = `${celLiteral(before)} + sandbox.id + ${celLiteral(after)}`;
  const volume = `m.type == "local" && ${celLiteral(local)}.exists(v, m.source == ${directory} + v)`;
  return {
    name: 'mounts-isolated',
    description: 'No mount source is in the directory of a container, its own or another. Every pod.',
    expression:
      `mounts.all(m, ${local.length === 0 ? '' : `${volume} ||\n  `}!m.source.split("/").exists(p, p == "rootfs" || p == request.container_id ||\n` +
      '  p in sandbox.containers))',
    message: 'the mount would expose the files of a container',
  };
}

/** runtime-rs sends a watched volume once for a pod: a later container, and a second mount, have only the mount. */
function prepared(setup: RuntimeSetup): Row {
  const earlier = namesHostFiles(setup) ? ' ||\n  m.source in sandbox.sources' : '';
  return {
    name: 'mount-storages',
    description: 'A mount of a volume that the guest creates has its storage. Every pod.',
    expression:
      'mounts.all(m, !(m.source.within("/run/kata-containers/sandbox/storage") ||\n' +
      '    m.source.within("/run/kata-containers/sandbox/ephemeral") || m.source.contains("/watchable/")) ||\n' +
      `  request.storages.exists(s, s.mount_point == m.source)${earlier})`,
    message: 'the storage of a mount is missing',
  };
}

/** Disks are named by their address in the machine: slot and function, or two numbers on a SCSI bus. */
function storages(workloads: readonly Workload[]): Row {
  const groups = [...new Set(workloads.flatMap(({ volumeGroup }) => volumeGroup ?? []))];
  const group =
    groups.length === 0
      ? '!has(s.fs_group)'
      : `(!has(s.fs_group) || s.fs_group.group_id in [${groups.join(', ')}])`;
  return {
    name: 'storage-sources',
    description: 'Sources and groups of storages. securityContext.fsGroup',
    expression:
      'request.storages.all(s, (s.driver != "blk" || s.source.matches("^[0-9a-f]{2}(/[0-9a-f]{2})?$")) &&\n' +
      '  (s.driver != "scsi" || s.source.matches("^[0-9]+:[0-9]+$")) &&\n' +
      `  (s.driver != "ephemeral" || s.source == "tmpfs") && ${group})`,
    message: 'no storage of the workload is like this',
  };
}

/** Rules that bind each mount and each storage to its source. */
export function sourceRules(calls: readonly ExpectedCall[], setup: RuntimeSetup): readonly ExtraRule[] {
  return [
    ...(namesHostFiles(setup) ? hostFiles(calls) : everyPod('file-sources')),
    ...everyPod('watched-sources'),
    storageFields(calls, setup),
    ...sandboxStorages(calls),
    ...(setup.guest === 'confidential' ? [copiedFiles(calls)] : []),
  ];
}

const passthrough = `${shared}passthrough/`;

/**
 * runtime-rs with a shared file system names what it shares `sandbox-HEX8-NAME`, where NAME is the last part of the host's
 * path: the name of a volume, or of a file of the pod. Each mount has the name that the pod says.
 */
function hostFiles(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const created = calls.filter(({ method }) => method === 'CreateContainer');
  const names = [...new Set(created.map(({ container = '' }) => container))];
  const shape =
    `mounts.all(m, m.type != "bind" || !m.source.within(${celLiteral(shared)}) ||\n` +
    `  m.source.matches(${celLiteral(`^${passthrough}(watchable/)?sandbox-[0-9a-f]{8}-[^/]+$`)}))`;
  return [shape, ...hostNames(created, names)].map((expression, index) => ({
    method: 'CreateContainer',
    name: index === 0 ? 'file-paths' : `file-sources${index === 1 ? '' : `-${index}`}`,
    description: "Sources in the shared directory are named after the pod's volumes. Every pod.",
    expression,
    message: notTheSource,
  }));
}

/** Returns tests of the names in the mounts of these containers, each short enough for a rule. */
function hostNames(calls: readonly ExpectedCall[], names: readonly string[]): readonly string[] {
  const expression = eachContainer(calls, 'CreateContainer', (call) => {
    if (!names.includes(call.container ?? '')) return undefined;
    const sources = new Map((asCreate(call)?.OCI?.Mounts ?? []).map((m) => [m.destination, m]));
    const volumes = (call.volumes ?? []).filter(({ destination }) => {
      const mount = sources.get(destination);
      return mount?.type === 'bind' && mount.source.startsWith(passthrough);
    });
    const exact = volumes.filter(({ hostName }) => hostName.pattern === undefined);
    const rows = exact.map(({ destination, hostName }) => [destination, hostName.sample]);
    const patterns = new Map<string, string[]>();
    for (const { destination, hostName } of volumes)
      if (hostName.pattern !== undefined)
        patterns.set(hostName.pattern, [...(patterns.get(hostName.pattern) ?? []), destination]);
    const watched = volumes.filter(({ isWatched }) => isWatched).map(({ destination }) => destination);
    const tests = [
      ...(rows.length === 0
        ? []
        : [
            `${wrappedList(rows)}.exists(r, m.destination == r[0] &&\n` +
              '      m.source.endsWith("-" + r[1]) && m.source.split("/sandbox-")[1].size() == 9 + r[1].size())',
          ]),
      ...[...patterns].map(
        ([pattern, destinations]) =>
          `m.destination in ${celLiteral(destinations)} && m.source.matches("/sandbox-.{8}-${pattern}$")`,
      ),
    ];
    return (
      `mounts.all(m, m.type != "bind" || !m.source.within(${celLiteral(shared)}) ||\n` +
      `  (!m.source.contains("/watchable/")${watched.length === 0 ? '' : ` || m.destination in ${celLiteral(watched)}`}) &&\n` +
      `  (${tests.length === 0 ? 'false' : tests.join(' ||\n    ')}))`
    );
  });
  const half = Math.floor(names.length / 2);
  if (expression === undefined) return [];
  if (expression.length <= longestExpression || half === 0) return [expression];
  return [...hostNames(calls, names.slice(0, half)), ...hostNames(calls, names.slice(half))];
}

function storageFields(calls: readonly ExpectedCall[], { snapshotter }: RuntimeSetup): ExtraRule {
  const ofOneDisk = mountsTwice(calls)
    ? 'request.storages.all(o, o.source != s.source || o.mount_point == s.mount_point)'
    : 'request.storages.exists_one(o, o.source == s.source)';
  const layer = snapshotter === 'erofs' ? `${celLiteral(layerOption)} in s.options ||\n  ` : '';
  return {
    method: 'CreateContainer',
    name: 'storage-fields',
    description: 'The host cannot choose these storage sources, and no disk is used twice. Every pod.',
    expression:
      `request.storages.all(s, ${layer}(s.driver != "local" || s.source == "local") && s.shared == (s.driver == "blk") &&\n` +
      `  (s.driver != "blk" || ${ofOneDisk}) &&\n` +
      '  (s.driver != "image_guest_pull" || s.driver_options.size() <= 1 &&\n' +
      '    s.driver_options.all(o, o.startsWith("image_guest_pull="))))',
    message: 'no storage of the workload is like this',
  };
}

function sandboxStorages(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  return calls
    .flatMap(({ request }) => (isMessage(request, CreateSandboxRequestSchema) ? [request.storages] : []))
    .slice(0, 1)
    .map((storages) => ({
      method: 'CreateSandbox' as const,
      name: 'storages-complete',
      description: 'Each storage of the sandbox is present once, with its source. Every pod.',
      expression:
        `request.storages.size() == ${storages.length} && ` +
        `${celLiteral(storages.map(({ mountPoint, source }) => [mountPoint, source]))}\n` +
        '  .all(w, request.storages.exists(s, s.mount_point == w[0] && s.source == w[1])) &&\n' +
        'request.storages.all(s, !s.shared && !has(s.fs_group))',
      message: 'the sandbox has other storages',
    }));
}

/** Only files that a container of the workload mounts are copied. */
function copiedFiles(calls: readonly ExpectedCall[]): ExtraRule {
  return {
    method: 'CopyFile',
    name: 'copied-names',
    description: 'Only files that a container mounts are copied. Every pod.',
    expression: `${wrappedList(copiedNames(calls))}.exists(n,\n  path.endsWith("-" + n) || path.contains("-" + n + "/"))`,
    message: 'no container of the workload mounts this file',
  };
}

/** Returns the last parts of the names of files and directories that containers mount. */
export function copiedNames(calls: readonly ExpectedCall[]): readonly string[] {
  const names = calls
    .flatMap((call) => asCreate(call)?.OCI?.Mounts ?? [])
    // A mount of type `local` has its directory from a storage.
    .filter(({ type, source }) => type === 'bind' && source.startsWith(shared))
    .map(({ source }) => source.split('/')[5]?.replace(/^.*?-[0-9a-f]{16}-/, '') ?? '');
  return [...new Set(names)];
}
