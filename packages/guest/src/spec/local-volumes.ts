import { local } from '../storage/local.js';
import type { OciMount, OciSpec } from '../oci-spec.js';

/** A storage, as far as its mounts depend on it. */
interface Made {
  readonly driver: string;
  readonly mountPoint: string;
}

/**
 * A spec whose emptyDir volumes are the bind mounts that they are. Kata's runtime in Go gives such a mount the type of the
 * storage that makes its directory, `local` (`handleLocalStorage` in `virtcontainers/kata_agent.go`). That is taken for a
 * directory which the same request has made so, and for nothing else: a rule may have looked at binds alone.
 */
export function bindLocalVolumes(spec: OciSpec, storages: readonly Made[]): OciSpec {
  const places = storages.filter(({ driver }) => driver === local.name).map(({ mountPoint }) => mountPoint);
  const bound = (mount: OciMount): OciMount =>
    mount.type === local.name && places.includes(mount.source ?? '') ? { ...mount, type: 'bind' } : mount;
  return { ...spec, mounts: spec.mounts?.map(bound) };
}
