import type { ExpectedCall } from '@kata-agent/workloads';

type MountedVolume = NonNullable<ExpectedCall['volumes']>[number];

/** Returns the mounts of directories that the host shares as they are, each as `CONTAINER=MOUNT POINT`. */
export function liveVolumes(calls: readonly ExpectedCall[]): readonly string[] {
  return mountsWith(calls, ({ isLive }) => isLive === true);
}

/** Returns the volumes that images declare and the guest fills, each as `CONTAINER=MOUNT POINT`. */
export function imageVolumes(calls: readonly ExpectedCall[]): readonly string[] {
  return mountsWith(calls, ({ isOfImage }) => isOfImage === true);
}

function mountsWith(
  calls: readonly ExpectedCall[],
  isWanted: (volume: MountedVolume) => boolean,
): readonly string[] {
  const named = calls.flatMap(({ container = '', volumes = [] }) =>
    volumes.filter(isWanted).map(({ destination }) => `${container}=${destination}`),
  );
  return [...new Set(named)];
}

/** Returns the key of `[agent]`; empty if there is none. */
export function imageVolumesText(volumes: readonly string[]): string {
  if (volumes.length === 0) return '';
  return (
    '# Volumes that images declare: the guest fills them from the roots of the containers.\n' +
    `image_volumes = [${volumes.map((each) => JSON.stringify(each)).join(', ')}]\n`
  );
}

/** Returns comments of `[agent]` about them; empty if there is none. The input does not say whose programs need links. */
export function liveVolumesText(live: readonly string[]): string {
  if (live.length === 0) return '';
  return (
    '# The host shares these volumes as they are: a link that it plants leads the program to another file of the container.\n' +
    '# Name here those in which no program needs symbolic links:\n' +
    `# nosymfollow = [${live.map((each) => JSON.stringify(each)).join(', ')}]\n`
  );
}
