import { lstatSync, realpathSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';
import type { AllowedPath } from '../guest-access.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { type GuestDevices, type InjectedDevice, isEvidence } from '../device/guest-devices.js';
import { GuestError } from '../guest-error.js';
import { type HookSetting, reasonToIgnore } from '../guest-hooks.js';
import { quotedName, quotedPath } from '../quoted.js';
import type { OciHook, OciHooks, OciMount, OciProcess, OciSpec, OciUser } from '../request/oci-spec.js';
import { cleanPath, contains } from '../paths/clean-path.js';
import { isBind } from '../spec/mounts.js';
import { checkDeviceNumber, isGuestMemory } from '../spec/device-rules.js';
import type { NamedEdits } from './cdi-devices.js';
import type { CdiDeviceNode, CdiHook, CdiMount } from './cdi-spec.js';

/** What a container gets for its CDI devices. */
export interface CdiInjection {
  /** Entries `NAME=value`, which replace those of the request. */
  readonly env: readonly string[];
  readonly additionalGids: readonly number[];
  readonly devices: readonly InjectedDevice[];
  readonly mounts: readonly OciMount[];
  /** The paths of the guest that the mounts name. */
  readonly paths: readonly AllowedPath[];
  readonly hooks: OciHooks;
}

export interface InjectionContext {
  readonly hooks: HookSetting;
  readonly paths: Pick<GuestPaths, 'kata' | 'state'>;
  readonly guest: GuestDevices;
  /** The user of the container's first process, to whom its nodes belong. */
  readonly user: OciUser | undefined;
}

/**
 * Resolves the edits of a container's CDI devices in the guest. They say what containers get of the guest, so hooks need
 * the same setting as those of the guest image, and what no configuration can give stays refused: block devices (S11),
 * the guest's memory, devices for attestation (S32), and the directories of Kata and of the agent.
 *
 * @throws GuestError
 */
export function cdiInjection(named: readonly NamedEdits[], context: InjectionContext): CdiInjection {
  for (const { device, edits } of named) {
    const [unsupported] = edits.unsupported;
    if (unsupported !== undefined)
      throw new GuestError(
        'unimplemented',
        `CDI device ${quotedName(device)} has ${unsupported}, which is not supported`,
      );
  }
  const all = named.flatMap(({ device, edits }) =>
    edits.mounts.map((mount) => ({ device, mount: resolvedMount(device, mount, context) })),
  );
  const mounts = lastOfEach(
    all.map(({ mount }) => mount),
    ({ destination }) => destination,
  );
  return {
    env: lastOfEach(
      named.flatMap(({ edits }) => edits.env),
      nameOf,
    ),
    additionalGids: [...new Set(named.flatMap(({ edits }) => edits.additionalGids))].filter(
      (gid) => gid !== 0,
    ),
    devices: lastOfEach(
      named.flatMap(({ device, edits }) =>
        edits.deviceNodes.map((node) => injectedDevice(device, node, context)),
      ),
      ({ node }) => node.path,
    ),
    mounts,
    paths: mounts.filter(isBind).map((mount) => ({ path: mount.source ?? '', writable: !isReadOnly(mount) })),
    hooks: hooksOf(named, context),
  };
}

/** Returns the spec of a request with the edits that need no check of the guest: variables, groups, hooks. */
export function withEdits(spec: OciSpec, { env, additionalGids, mounts, hooks }: CdiInjection): OciSpec {
  const replaced = new Set(mounts.map(({ destination }) => destination));
  const { process } = spec;
  return {
    ...spec,
    process: process === undefined ? undefined : editedProcess(process, env, additionalGids),
    mounts: spec.mounts?.filter(({ destination }) => !replaced.has(destination)),
    hooks: joinHooks(spec.hooks ?? {}, hooks),
  };
}

function editedProcess(
  process: OciProcess,
  env: readonly string[],
  additionalGids: readonly number[],
): OciProcess {
  const { user } = process;
  return {
    ...process,
    env: lastOfEach([...(process.env ?? []), ...env], nameOf),
    user:
      additionalGids.length === 0
        ? user
        : { ...user, additionalGids: [...new Set([...(user.additionalGids ?? []), ...additionalGids])] },
  };
}

/** The hooks of the request run first. */
function joinHooks(first: OciHooks, second: OciHooks): OciHooks {
  const kinds = new Set([...Object.keys(first), ...Object.keys(second)]) as ReadonlySet<keyof OciHooks>;
  return Object.fromEntries(
    [...kinds].map((kind) => [kind, [...(first[kind] ?? []), ...(second[kind] ?? [])]]),
  );
}

/** Returns the last entry of each key, in the order in which the keys appear first. */
function lastOfEach<T>(entries: readonly T[], keyOf: (entry: T) => string): readonly T[] {
  return [...new Map(entries.map((entry) => [keyOf(entry), entry])).values()];
}

function nameOf(entry: string): string {
  return entry.slice(0, entry.indexOf('='));
}

function injectedDevice(
  device: string,
  node: CdiDeviceNode,
  { guest, user }: InjectionContext,
): InjectedDevice {
  const path = devicePath(device, node.path);
  const source = devicePath(device, node.hostPath ?? node.path);
  const named = `CDI device ${quotedName(device)}: node ${quotedPath(source)}`;
  if (node.type !== undefined && node.type !== 'c' && node.type !== 'u')
    throw new GuestError(
      'refused',
      `${named} has the type ${node.type}, and only character devices are injected`,
    );
  const given =
    node.major === undefined || node.major === 0 ? undefined : { major: node.major, minor: node.minor ?? 0 };
  const number = guest.numberOf(source) ?? given;
  if (number === undefined)
    throw new GuestError('precondition', `${named} is not a character device of the guest`);
  checkDeviceNumber(number, named);
  if (isGuestMemory(number)) throw new GuestError('refused', `${named} is the guest's own memory`);
  if (isEvidence({ path: source, ...number }, guest) || isEvidence({ path, ...number }, guest))
    throw new GuestError('refused', `${named} is for attestation of the guest, and no container gets it`);
  const owner = (own: number | undefined, process: number | undefined): number | undefined =>
    own ?? (process === 0 ? undefined : process);
  return {
    node: {
      path,
      type: 'c',
      ...number,
      fileMode: node.fileMode,
      uid: owner(node.uid, user?.uid),
      gid: owner(node.gid, user?.gid),
    },
    access: node.permissions ?? 'rwm',
  };
}

function devicePath(device: string, path: string): string {
  const names = cleanPath(path, `CDI device ${quotedName(device)}: node`);
  if (names.length > 1 && names[0] === 'dev') return `/${names.join('/')}`;
  throw new GuestError(
    'refused',
    `CDI device ${quotedName(device)}: node ${quotedPath(path)} is not below /dev`,
  );
}

/** The source of a bind mount is resolved here: paths of the guest may have links, as /var/run has. */
function resolvedMount(
  device: string,
  { hostPath, containerPath, type, options }: CdiMount,
  { paths }: InjectionContext,
): OciMount {
  const destination = `/${cleanPath(containerPath, `CDI device ${quotedName(device)}: containerPath`).join('/')}`;
  const mount = { destination, type: type ?? '', source: hostPath, options };
  if (!isBind(mount)) return mount;
  const named = `CDI device ${quotedName(device)}: hostPath`;
  const source = real(`/${cleanPath(hostPath, named).join('/')}`, named);
  for (const own of [paths.kata, paths.state]) {
    if (contains(own, source) || contains(source, own))
      throw new GuestError('refused', `${named} ${quotedPath(hostPath)} is in or above ${own}`);
  }
  // Specifications usually have no type beside the option that makes it a bind mount.
  return { ...mount, type: 'bind', source };
}

function real(path: string, named: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    throw new GuestError('precondition', `${named} ${quotedPath(path)} does not exist`, { cause: error });
  }
}

function isReadOnly({ options = [] }: OciMount): boolean {
  return options.findLast((option) => ['ro', 'rw', 'rro', 'rrw'].includes(option))?.endsWith('ro') ?? false;
}

function hooksOf(named: readonly NamedEdits[], { hooks, paths }: InjectionContext): OciHooks {
  const all = named.flatMap(({ device, edits }) => edits.hooks.map((each) => ({ device, ...each })));
  const [first] = all;
  if (first !== undefined && hooks === 'refuse')
    throw new GuestError(
      'refused',
      `CDI device ${quotedName(first.device)} has OCI hooks (${first.kind}), which are refused; help: set hooks = "cdi"`,
    );
  let joined: OciHooks = {};
  for (const { device, kind, hook } of all)
    joined = joinHooks(joined, { [kind]: [checkedHook(device, { kind, hook }, paths)] });
  return joined;
}

function checkedHook(
  device: string,
  { kind, hook }: CdiHook,
  { kata, state }: InjectionContext['paths'],
): OciHook {
  const named = `CDI device ${quotedName(device)}: ${kind} hook`;
  const path = real(`/${cleanPath(hook.path, named).join('/')}`, named);
  const reason =
    contains(kata, path) || contains(state, path)
      ? `in ${contains(kata, path) ? kata : state}`
      : reasonToIgnore(lstatSync(path));
  if (reason === undefined) return { ...hook, path };
  throw new GuestError('refused', `${named} ${quotedPath(hook.path)} is refused: it is ${reason}`);
}
