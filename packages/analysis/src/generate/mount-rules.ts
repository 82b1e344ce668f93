import { isLocalVolume, localFolder } from '../calls/local-volume.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import type { Workload } from '../pod/workload.js';
import { celLiteral } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';

/** What holds between the mounts and storages of a container. */
export function mountRules(workloads: readonly Workload[], setup: RuntimeSetup): readonly ExtraRule[] {
  const volumes = workloads.flatMap((workload) => [...workload.volumes.values()]);
  const local = volumes.filter((volume) => isLocalVolume(volume, setup)).map(({ name }) => name);
  const rows = [
    once,
    own([...new Set(local)]),
    prepared,
    storages(workloads),
    ...(local.length === 0 ? [] : [localStorages]),
    ...(setup.guest === 'confidential' ? [pulled] : []),
  ];
  return rows.map((row) => ({ ...row, method: 'CreateContainer' }));
}

type Row = Omit<ExtraRule, 'method'>;

const once: Row = {
  name: 'mounts-once',
  says: 'Nothing is mounted over another mount of the same place. Every pod.',
  expression: 'mounts.all(m, mounts.exists_one(o, o.destination == m.destination))',
  message: 'a place is mounted twice',
};

/** `local`: names of volumes whose folder is in that of the pause container. */
function own(local: readonly string[]): Row {
  const folder = `${celLiteral(localFolder.before)} + sandbox.id + ${celLiteral(localFolder.after)}`;
  const volume = `m.type == "local" && ${celLiteral(local)}.exists(v, m.source == ${folder} + v)`;
  return {
    name: 'mounts-apart',
    says: 'No mount shows the folder of a container, be it this one or another. Every pod.',
    expression:
      `mounts.all(m, ${local.length === 0 ? '' : `${volume} ||\n  `}!m.source.split("/").exists(p, p == "rootfs" || p == request.container_id ||\n` +
      '  p in sandbox.containers))',
    message: 'a mount would show the files of a container',
  };
}

const prepared: Row = {
  name: 'mounts-prepared',
  says: 'What is mounted of volumes that the guest makes is what this request has it make. Every pod.',
  expression:
    'mounts.all(m, !(m.source.within("/run/kata-containers/sandbox/storage") ||\n' +
    '    m.source.within("/run/kata-containers/sandbox/ephemeral") || m.source.contains("/watchable/")) ||\n' +
    '  request.storages.exists(s, s.mount_point == m.source))',
  message: 'a mount has no storage that belongs to it',
};

/** Disks are named by where the machine has them: a slot and a function, or two numbers on a SCSI bus. */
function storages(workloads: readonly Workload[]): Row {
  const groups = [...new Set(workloads.flatMap(({ volumeGroup }) => volumeGroup ?? []))];
  const group =
    groups.length === 0
      ? '!has(s.fs_group)'
      : `(!has(s.fs_group) || s.fs_group.group_id in [${groups.join(', ')}])`;
  return {
    name: 'storage-sources',
    says: 'Where storages come from, and whose group they are in. securityContext.fsGroup',
    expression:
      'request.storages.all(s, (s.driver != "blk" || s.source.matches("^[0-9a-f]{2}(/[0-9a-f]{2})?$")) &&\n' +
      '  (s.driver != "scsi" || s.source.matches("^[0-9]+:[0-9]+$")) &&\n' +
      `  (s.driver != "ephemeral" || s.source == "tmpfs") && ${group})`,
    message: 'no storage of the workload is like this',
  };
}

const pulled: Row = {
  name: 'pulled-images',
  says: 'The image that the guest pulls becomes the root filesystem of this container. Every pod.',
  expression:
    'request.storages.all(s, s.driver != "image_guest_pull" || !s.shared && s.options.size() == 0 &&\n' +
    '  s.mount_point == "/run/kata-containers/" + request.container_id + "/rootfs")',
  message: 'an image would be pulled into another place',
};

const localStorages: Row = {
  name: 'local-volumes',
  says: 'The guest makes no folder of a volume that is not mounted. emptyDir',
  expression:
    'request.storages.all(s, s.driver != "local" || mounts.exists(m, m.type == "local" && m.source == s.mount_point))',
  message: 'no mount belongs to this folder',
};
