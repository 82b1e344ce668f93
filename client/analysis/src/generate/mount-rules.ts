import {
  namesHostFiles,
  pullsImages,
  type RuntimeSetup,
  type Workload,
  celLiteral,
  isLocalVolume,
  localDirectory,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/extra-rule.js';

/** Rules on the relation between mounts and storages of a container. */
export function mountRules(workloads: readonly Workload[], setup: RuntimeSetup): readonly ExtraRule[] {
  const volumes = workloads.flatMap((workload) => [...workload.volumes.values()]);
  const local = volumes.filter((volume) => isLocalVolume(volume, setup)).map(({ name }) => name);
  const rows = [
    once,
    own([...new Set(local)], setup),
    prepared(setup),
    storages(workloads),
    ...(local.length === 0 ? [] : [localStorages]),
    ...(pullsImages(setup) ? [pulled] : []),
  ];
  return rows.map((row) => ({ ...row, method: 'CreateContainer' }));
}

type Row = Omit<ExtraRule, 'method'>;

const once: Row = {
  name: 'mounts-unique',
  description: 'No two mounts have the same mount point. Every pod.',
  expression: 'mounts.all(m, mounts.exists_one(o, o.destination == m.destination))',
  message: 'two mounts have the same mount point',
};

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

const pulled: Row = {
  name: 'pulled-images',
  description: 'The image that the guest pulls becomes the root filesystem of this container. Every pod.',
  expression:
    'request.storages.all(s, s.driver != "image_guest_pull" || !s.shared && s.options.size() == 0 &&\n' +
    '  s.mount_point == "/run/kata-containers/" + request.container_id + "/rootfs")',
  message: 'the image would be pulled to another mount point',
};

const localStorages: Row = {
  name: 'local-volumes',
  description: 'The guest creates the volume directories that are mounted, and no other. emptyDir',
  expression:
    'request.storages.all(s, s.driver != "local" || mounts.exists(m, m.type == "local" && m.source == s.mount_point)) &&\n' +
    'mounts.all(m, m.type != "local" || request.storages.exists(s, s.driver == "local" && s.mount_point == m.source))',
  message: 'no mount uses this directory, or a mount has none',
};
