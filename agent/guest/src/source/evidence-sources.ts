import { attestationAgentDirectory } from '@kata-agent/catalogue';
import { contains } from '../paths/clean-path.js';

/** An entry of the mount table. */
interface GuestMount {
  readonly target: string;
  readonly type: string;
}

/**
 * Reports whether a container with this source could get evidence in the guest's name: from the attestation agent, from configfs
 * (configfs-tsm makes reports over any bytes), or from a device of /dev. A directory counts if it has one of them below it, now or
 * later. Nodes of attestation devices are known by `isEvidence`.
 *
 * @param path absolute and clean.
 * @param mounts the mount table: configfs and devtmpfs may have other mount points than the usual ones.
 */
export function givesEvidence(path: string, mounts: readonly GuestMount[]): boolean {
  const mountPoints = (type: string): readonly string[] =>
    mounts.filter((mount) => mount.type === type).map(({ target }) => target);
  const whole = ['/sys/kernel/config', attestationAgentDirectory, ...mountPoints('configfs')];
  // Most files of /dev give no evidence: /dev/shm, /dev/fuse.
  const parents = ['/dev', ...mountPoints('devtmpfs')];
  return (
    whole.some((place) => contains(path, place) || contains(place, path)) ||
    parents.some((place) => contains(path, place))
  );
}
