import { local } from './drivers/local.js';
import type { OciMount, OciSpec } from '../request/oci-spec.js';

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
