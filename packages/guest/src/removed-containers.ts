import type { UsedSource } from './source/other-containers.js';

/** What is remembered of a container that was removed, for rules about the order of containers (S35). */
export interface RemovedContainer {
  /** Those that say its name in the pod. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Of its first process; absent: the agent did not see it end. */
  readonly exitCode: number | undefined;
}

/** Those of containerd's CRI plug-in, and of CRI-O. */
const nameAnnotations = ['io.kubernetes.cri.container-name', 'io.kubernetes.container.name'];

/** A pod has far fewer names, and of each two are kept. */
const most = 256;

/**
 * The memory with one container more: of each name the last that was removed, and the last that ended with 0. Pure.
 */
export function remembered(
  removed: readonly RemovedContainer[],
  annotations: Readonly<Record<string, string>>,
  exitCode: number | undefined,
): readonly RemovedContainer[] {
  const own = Object.fromEntries(
    nameAnnotations.flatMap((key) => {
      const value = Object.hasOwn(annotations, key) ? annotations[key] : undefined;
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const key = JSON.stringify(own);
  const others = removed.filter(
    (each) => JSON.stringify(each.annotations) !== key || (each.exitCode === 0 && exitCode !== 0),
  );
  return [...others, { annotations: own, exitCode }].slice(-most);
}

/** A container that was removed, as far as its places are concerned: what it wrote may still be there (S29). */
export interface RemovedPlaces {
  readonly id: string;
  readonly sources: readonly UsedSource[];
}

/** The places with those of one container more that were its own; of one id the last. Pure. */
export function withPlaces(
  removed: readonly RemovedPlaces[],
  { id, sources }: RemovedPlaces,
): readonly RemovedPlaces[] {
  const own = sources.filter(({ use }) => use === 'own');
  const others = removed.filter((each) => each.id !== id);
  return own.length === 0 ? others : [...others, { id, sources: own }];
}
