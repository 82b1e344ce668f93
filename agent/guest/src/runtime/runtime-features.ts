import { existsSync } from 'node:fs';
import { GuestError } from '../guest-error.js';
import { type KnownRuntime, knownRuntimes } from './known-runtimes.js';

/** The fields of `features` that the agent uses. */
export interface RuntimeFeatures {
  /** The runtime that reports them; undefined: none that is known. */
  readonly runtime: KnownRuntime | undefined;
  /** `1.3.6` or `1.21`; with the distribution's suffix, as in `1.1.15+ds1`. Empty: unknown. */
  readonly version: string;
  readonly seccomp: boolean;
}

/** Parses the JSON of `features` (runtime-spec features.md). Invalid output counts as no features. */
export function parseFeatures(text: string): RuntimeFeatures {
  const features = object(JSON.parse(text));
  const annotations = object(features['annotations']);
  const runtime = knownRuntimes.find(({ versionAnnotation }) => versionAnnotation in annotations);
  const version = runtime === undefined ? undefined : annotations[runtime.versionAnnotation];
  const seccomp = object(object(features['linux'])['seccomp'])['enabled'];
  return { runtime, version: typeof version === 'string' ? version : '', seccomp: seccomp === true };
}

/** Parses `--version`, whose last line has the features of the build: `crun version 1.8.1`, `+SECCOMP +EBPF`. */
export function parseVersionText(text: string): RuntimeFeatures {
  const [, name, version = ''] = /^(\S+) version (\S+)/.exec(text) ?? [];
  const runtime = knownRuntimes.find((known) => known.name === name);
  return { runtime, version, seccomp: /(?:^|\s)\+SECCOMP(?:\s|$)/.test(text) };
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/**
 * Returns the known vulnerabilities of a version that can be used in a guest (S12). A distribution may have fixed them
 * without changing the number, so they cause a warning and not a refusal.
 */
export function knownFlaws({ runtime, version }: RuntimeFeatures): readonly string[] {
  const own = numbers(version);
  if (own === undefined || runtime === undefined) return [];
  return runtime.fixes
    .filter(({ in: releases, unreachable }) => unreachable === undefined && !isFixed(own, releases))
    .map(({ flaws }) => flaws);
}

type Version = readonly [major: number, minor: number, patch: number];

/** Fixed if its release line has the fix and it is at least that release, or if its line is later than all of them. */
function isFixed(own: Version, releases: readonly string[]): boolean {
  const fixed = releases.map(numbers).filter((version) => version !== undefined);
  const line = fixed.find(([major, minor]) => major === own[0] && minor === own[1]);
  if (line !== undefined) return own[2] >= line[2];
  return fixed.every(([major, minor]) => own[0] > major || (own[0] === major && own[1] > minor));
}

/** crun leaves out a patch number of 0. */
function numbers(version: string): Version | undefined {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/**
 * Refuses a container whose cgroup the runtime could not ask systemd for. Like Kata's agent, which needs D-Bus for it, this
 * one does not create it in the file system instead: systemd would not know of it.
 *
 * @throws GuestError `precondition`
 */
export function checkSystemdBus(
  { name, systemdBuses }: Pick<KnownRuntime, 'name' | 'systemdBuses'>,
  exists: (socket: string) => boolean = existsSync,
): void {
  if (systemdBuses.some((socket) => exists(socket))) return;
  throw new GuestError(
    'precondition',
    `${name} cannot ask systemd for the container's cgroup: there is no ${systemdBuses.join(' or ')}; ` +
      'help: install dbus in the guest, or configure the host with the cgroup driver cgroupfs',
  );
}
