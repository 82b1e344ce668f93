import { kataDirectory } from '@kata-agent/catalogue';
import {
  type ExpectedCall,
  type RuntimeSetup,
  celLiteral,
  localDirectory,
  namesHostFiles,
  sharedMemory,
  wrappedList,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { asCreate, eachContainer } from './each-container.js';

const disks = `${kataDirectory}/sandbox/storage/`;

/**
 * Rules for the identity of volumes (S38), over all calls of a sandbox: two mounts have the same source only if they are of one
 * volume of the pod, and each volume that the guest has is at one place.
 */
export function volumeRules(calls: readonly ExpectedCall[], setup: RuntimeSetup): readonly ExtraRule[] {
  const shared = sharedVolumes(calls, setup);
  const own = 'container.claimed.name + "=" + m.destination';
  const isSame = (key: string): string =>
    shared.length === 0 ? 'false' : `${wrappedList(shared)}.exists(v,\n      (${own}) in v && (${key}) in v)`;
  const ofOwn = isSame('container.claimed.name + "=" + o.destination');
  const ofEarlier = `k == ${own} || ${isSame('k')}`;
  // A watched volume and the host's directory of which it is a copy are one volume.
  const copies = (one: string, other: string): string =>
    `!(${one}.source.contains("/watchable/") && ${other}.source.endsWith("/" + ${one}.source.split("/watchable/")[1]))`;
  const isWatched = calls.some(({ volumes = [] }) => volumes.some((volume) => volume.isWatched));
  const apart = `o.source != m.source${isWatched ? ` &&\n    ${copies('o', 'm')} &&\n    ${copies('m', 'o')}` : ''}`;
  const earlier = (source: string): string =>
    `!(${source} in sandbox.sources) || sandbox.sources[${source}].all(k, ${ofEarlier})`;
  const original = '(m.source.split("/watchable/")[0] + "/" + m.source.split("/watchable/")[1])';
  const disk = `m.source.startsWith(${celLiteral(disks)})`;
  // Each has the list of volumes only once or twice, for pods with many.
  const sourceRule = (name: string, of: string, expression: string): ExtraRule => ({
    method: 'CreateContainer',
    name,
    description: `Two mounts have the same source only if they are of the same volume of the pod: ${of}. volumeMounts`,
    expression,
    message: 'this is the source of another volume',
  });
  return [
    sourceRule(
      'volumes-isolated',
      'those of a container',
      `mounts.all(m, !m.source.startsWith("${kataDirectory}/") || mounts.all(o, ${apart} ||\n` +
        `    o.destination == m.destination || ${ofOwn}))`,
    ),
    sourceRule(
      'volumes-isolated-in-sandbox',
      'those of all containers of the sandbox, of removed ones too if the sandbox keeps the volume',
      `mounts.all(m, m.source == ${celLiteral(sharedMemory)} || ${earlier('m.source')})`,
    ),
    ...(isWatched
      ? [
          sourceRule(
            'watched-volumes-isolated',
            'one of them may be of the copy, and the other of its original',
            `mounts.all(m, !m.source.contains("/watchable/") || ${earlier(original)})`,
          ),
        ]
      : []),
    ...(hasDisks(calls)
      ? [
          {
            method: 'CreateContainer' as const,
            name: 'volume-disks',
            description: 'All mounts of an emptyDir are of the same disk. emptyDir',
            expression:
              `mounts.all(m, !${disk} ||\n` +
              `  mounts.all(o, o.source == m.source || !(${ofOwn})) &&\n` +
              `  sandbox.sources.all(s, s == m.source || !s.startsWith(${celLiteral(disks)}) ||\n` +
              `    sandbox.sources[s].all(k, !(${ofEarlier}))))`,
            message: 'this volume has another disk already',
          },
        ]
      : []),
    ...localNames(calls, setup),
  ];
}

/** Returns the volumes of each pod that have several mounts which share a source, each as `CONTAINER=MOUNT POINT` of these mounts. */
export function sharedVolumes(
  calls: readonly ExpectedCall[],
  setup: RuntimeSetup,
): readonly (readonly string[])[] {
  const found = new Map<string, Set<string>>();
  let pod = 0;
  for (const call of calls) {
    // The calls of several pods follow each other. Volumes of two pods are never one, also with one name.
    if (call.method === 'CreateSandbox') pod += 1;
    const sources = new Map((asCreate(call)?.OCI?.Mounts ?? []).map((m) => [m.destination, m.source]));
    for (const { subject, destination } of call.volumes ?? []) {
      const source = sources.get(destination) ?? '';
      // Without names of the host each mount has its own file.
      const isShared =
        namesHostFiles(setup) || source.startsWith(`${kataDirectory}/sandbox/`) || isLocal(source);
      if (!isShared) continue;
      const volume = `${pod} ${subject}`;
      const mounts = found.get(volume) ?? new Set();
      found.set(volume, mounts.add(`${call.container ?? ''}=${destination}`));
    }
  }
  const shared = [...found.values()].filter(({ size }) => size > 1).map((mounts) => [...mounts]);
  return [...new Map(shared.map((mounts) => [mounts.join(), mounts])).values()];
}

function isLocal(source: string): boolean {
  return source.includes('/rootfs/local/');
}

function hasDisks(calls: readonly ExpectedCall[]): boolean {
  return calls.some((call) =>
    (asCreate(call)?.OCI?.Mounts ?? []).some(({ source }) => source.startsWith(disks)),
  );
}

/** A directory of the guest has the name of its volume. */
function localNames(calls: readonly ExpectedCall[], setup: RuntimeSetup): readonly ExtraRule[] {
  const { before, after } = localDirectory(setup);
  const directory = `${celLiteral(before)} + sandbox.id + ${celLiteral(after)}`;
  const expression = eachContainer(calls, 'CreateContainer', (call) => {
    const local = (asCreate(call)?.OCI?.Mounts ?? []).filter(({ source }) => isLocal(source));
    const rows = local.map(({ destination, source }) => [destination, source.split('/').at(-1) ?? '']);
    return rows.length === 0
      ? undefined
      : `mounts.all(m, m.type != "local" || ${wrappedList(rows)}.exists(r,\n` +
          `    m.destination == r[0] && m.source == ${directory} + r[1]))`;
  });
  if (expression === undefined) return [];
  return [
    {
      method: 'CreateContainer',
      name: 'local-directories',
      description: 'A volume that the guest creates has its own directory. emptyDir',
      expression,
      message: 'this is the directory of another volume',
    },
  ];
}
