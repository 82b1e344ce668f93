/** What `runc features` says, as far as anyone here asks. */
export interface RuntimeFeatures {
  /** `1.3.6`; with the distribution's own suffix, as in `1.1.15+ds1`. Empty: not told. */
  readonly version: string;
  readonly seccomp: boolean;
}

/** Reads the JSON of `runc features` (runtime-spec features.md). Anything else counts as "can do nothing special". */
export function parseFeatures(text: string): RuntimeFeatures {
  const features = object(JSON.parse(text));
  const version = object(features['annotations'])['org.opencontainers.runc.version'];
  const seccomp = object(object(features['linux'])['seccomp'])['enabled'];
  return { version: typeof version === 'string' ? version : '', seccomp: seccomp === true };
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Escapes from containers, and the releases of runc that close them (S12). */
const fixes: readonly { readonly flaws: string; readonly in: readonly string[] }[] = [
  { flaws: 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881', in: ['1.2.8', '1.3.3', '1.4.0'] },
  { flaws: 'CVE-2026-41579', in: ['1.3.6', '1.4.3'] },
];

/**
 * The flaws that a version has by its number. A distribution may have closed them without changing it, so this is a
 * reason for a warning and not for a refusal.
 */
export function knownFlaws(version: string): readonly string[] {
  const own = numbers(version);
  if (own === undefined) return [];
  return fixes.filter(({ in: releases }) => !isFixed(own, releases)).map(({ flaws }) => flaws);
}

type Version = readonly [major: number, minor: number, patch: number];

/** Fixed when its own line has the fix and it is at least that, or when it is of a later line than all of them. */
function isFixed(own: Version, releases: readonly string[]): boolean {
  const fixed = releases.map(numbers).filter((version) => version !== undefined);
  const line = fixed.find(([major, minor]) => major === own[0] && minor === own[1]);
  if (line !== undefined) return own[2] >= line[2];
  return fixed.every(([major, minor]) => own[0] > major || (own[0] === major && own[1] > minor));
}

function numbers(version: string): Version | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}
