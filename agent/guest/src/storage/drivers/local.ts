import { GuestError } from '../../guest-error.js';
import type { OciMount, OciSpec } from '../../request/oci-spec.js';
import { mountAt } from '../mount-point.js';
import { groupOption, option } from '../storage-options.js';
import type { StorageDriver } from './storage-driver.js';

const SETGID = 0o2000;

/**
 * An emptyDir in guest memory, with its own size limit, so that a container which fills it takes no space from others
 * (S36). Options: `mode=` (octal) and `fsgid=`.
 */
export const local: StorageDriver = {
  name: 'local',
  ofPod: true,
  mountPoints: ['shared/containers/POD/rootfs/local/*', 'shared/containers/passthrough/POD/rootfs/local/*'],
  async prepare(storage, context) {
    const given = option(storage.options, 'mode');
    const group = groupOption(storage.options);
    const mode = given === undefined ? 0o755 : octal(given);
    await mountAt({ source: 'tmpfs', fstype: 'tmpfs', options: ['nodev', 'size=50%'] }, context);
    const attributes = { group, mode: mode | (group === undefined ? 0 : SETGID) };
    await context.media.run('setAttributes', { place: context.place, ...attributes }, [context.base.fd]);
  },
};

function octal(text: string): number {
  if (/^[0-7]{1,5}$/.test(text)) return Number.parseInt(text, 8);
  throw new GuestError('invalid', `mode=${text} of a local storage is not an octal mode`);
}

/** The fields of a storage that mounts depend on. */
interface Made {
  readonly driver: string;
  readonly mountPoint: string;
}

/**
 * Returns a spec whose mounts of type `local` are bind mounts. Kata's runtime in Go gives an emptyDir's mount the type
 * of the storage that creates its directory (`handleLocalStorage` in `virtcontainers/kata_agent.go`). Done only for a
 * directory which a storage of the same request creates: a rule may have checked bind mounts alone.
 */
export function bindLocalVolumes(spec: OciSpec, storages: readonly Made[]): OciSpec {
  const places = storages.filter(({ driver }) => driver === local.name).map(({ mountPoint }) => mountPoint);
  const bound = (mount: OciMount): OciMount =>
    mount.type === local.name && places.includes(mount.source ?? '') ? { ...mount, type: 'bind' } : mount;
  return { ...spec, mounts: spec.mounts?.map(bound) };
}
