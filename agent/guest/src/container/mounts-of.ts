import type { MountStatus } from '../request/actions.js';
import type { OciMount } from '../request/oci-spec.js';
import { contains } from '../paths/clean-path.js';

/**
 * Returns the mounts whose source is in Kata's directory, as the request has them: rules compare them with those of other
 * containers (S38). Pure.
 */
export function mountsOf(mounts: readonly OciMount[], kata: string): readonly MountStatus[] {
  return mounts.flatMap(({ destination, source = '' }) =>
    contains(kata, source) ? [{ destination, source }] : [],
  );
}
