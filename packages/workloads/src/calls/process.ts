import { create } from '@bufbuild/protobuf';
import { defaultCapabilities } from '@kata-agent/gate';
import { type Process, ProcessSchema } from '@kata-agent/protocol/oci';
import type { Container } from '../pod/container.js';
import type { ImageConfig } from '../pod/image-config.js';
import type { Workload } from '../pod/workload.js';
import { allCapabilities } from './capabilities.js';
import type { Entry } from '../facts/fact-name.js';
import { type Environment, environmentOf, expand } from './environment.js';
import type { Origins } from './origins.js';

/** A first process, and values for rules beyond its message. */
export interface FirstProcess {
  readonly process: Process;
  /** Variables in the form of rules' lists. */
  readonly variables: readonly Entry[];
  readonly groups: readonly string[];
}

/** Returns the first process of a container as the runtimes send it; unknown values are reported to `origins`. */
export function processOf(
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
  origins: Origins,
): FirstProcess {
  const { entries, known, variables } = environmentOf(workload, container, image, origins);
  const user = userOf(workload, container, image, origins);
  const names = capabilitiesOf(container, origins);
  const unknownUser = origins.unknown.get('user');
  if (unknownUser !== undefined) origins.guessed('groups', unknownUser);
  const groups = groupsOf(workload, user.gid, container.path, origins, image?.groups);
  const field = `${container.path}.securityContext.allowPrivilegeEscalation`;
  origins.of('privileges', String(!container.mayGainPrivileges), field);
  const process = create(ProcessSchema, {
    Terminal: container.terminal,
    User: { UID: user.uid, GID: user.gid, AdditionalGids: [...groups.all] },
    Args: [...argsOf(container, image, known, origins)],
    Env: [...entries],
    Cwd: directoryOf(container, image, origins),
    Capabilities: { Bounding: [...names], Effective: [...names], Permitted: [...names] },
    NoNewPrivileges: !container.mayGainPrivileges,
  });
  return { process, variables, groups: groups.listed };
}

/**
 * Returns the groups for rules and those of the request. The engine adds the user's own group, and supplementary groups
 * from the image's /etc/group, which the image configuration must name.
 *
 * Source: containerd `WithAdditionalGIDs`.
 */
export function groupsOf(
  workload: Workload,
  gid: number,
  path: string,
  origins: Origins,
  ofImage: readonly number[] = [],
): { readonly all: readonly number[]; readonly listed: readonly string[] } {
  const { supplementalGroups, volumeGroup, strictGroups, path: pod } = workload;
  const groups = new Map<number, string>([[gid, `the group of ${path}`]]);
  const add = (group: number, because: string): void => {
    if (!groups.has(group)) groups.set(group, because);
  };
  for (const [index, group] of supplementalGroups.entries())
    add(group, `${pod}.securityContext.supplementalGroups[${index}]`);
  if (volumeGroup !== undefined) add(volumeGroup, `${pod}.securityContext.fsGroup`);
  if (!strictGroups) for (const group of ofImage) add(group, `${path}.image: groups`);
  for (const [group, because] of groups) origins.of('groups', String(group), because);
  const all = [...groups.keys()];
  return { all, listed: all.map(String) };
}

function argsOf(
  container: Container,
  image: ImageConfig | undefined,
  environment: Environment,
  origins: Origins,
): readonly string[] {
  const { command, args, path } = container;
  const own = (text: string): string => {
    const value = expand(text, environment);
    if (value === undefined) origins.guessed('command', `${path}: "${text}" has an unknown value`);
    return value ?? text;
  };
  if (command === undefined && image === undefined) {
    origins.guessed(
      'command',
      `${path}.image: the command comes from ${container.image}, whose configuration is unknown`,
    );
    return (args ?? ['unknown']).map(own);
  }
  const words =
    command === undefined
      ? [...(image?.entrypoint ?? []), ...(args?.map(own) ?? image?.cmd ?? [])]
      : [...command.map(own), ...(args?.map(own) ?? [])];
  const because =
    command === undefined
      ? `${path}.image${args === undefined ? '' : `, ${path}.args`}`
      : `${path}.command${args === undefined ? '' : `, ${path}.args`}`;
  origins.of('command', words, because);
  origins.of('commandLine', [container.name, ...words], because);
  return words;
}

function directoryOf(container: Container, image: ImageConfig | undefined, origins: Origins): string {
  const { workingDir, path } = container;
  if (workingDir !== undefined) {
    origins.of('cwd', workingDir, `${path}.workingDir`);
    return workingDir;
  }
  if (image === undefined)
    origins.guessed('cwd', `the working directory of image ${container.image} is unknown (${path}.image)`);
  const directory = image?.workingDir || '/';
  origins.of('cwd', directory, `${path}.image`);
  return directory;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Returns the numeric user. The engine resolves user names, and the group of a user without a group, in the image's
 * passwd file: both are unknown here.
 */
function userOf(
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
  origins: Origins,
): User {
  const { path } = container;
  const uid = container.user ?? workload.user;
  const gid = container.group ?? workload.group;
  const field = container.user === undefined && workload.user !== undefined ? workload.path : path;
  const [imageUser = '', imageGroup] = (image?.user || '0').split(':');
  const numbers = /^\d+$/;
  if (uid !== undefined) {
    if (gid === undefined && uid !== 0) {
      origins.guessed(
        'user',
        `${field}.securityContext: runAsUser without runAsGroup takes the group from the image`,
      );
    }
    origins.of('user', `${uid}:${gid ?? 0}`, `${field}.securityContext`);
    return { uid, gid: gid ?? 0 };
  }
  if (image === undefined) {
    origins.guessed('user', `the user of image ${container.image} is unknown (${path}.image)`);
    return { uid: 0, gid: gid ?? 0 };
  }
  const group = gid ?? (imageGroup === undefined && imageUser === '0' ? 0 : numbersOnly(imageGroup));
  if (!numbers.test(imageUser) || group === undefined) {
    const remedy = `set ${path}.securityContext.runAsUser and runAsGroup`;
    origins.guessed(
      'user',
      `image ${container.image} has a user name, "${image.user}", and no numbers: ${remedy}`,
    );
    return { uid: 0, gid: 0 };
  }
  const user = { uid: Number(imageUser), gid: group };
  origins.of('user', `${user.uid}:${user.gid}`, `${path}.image`);
  return user;
}

function numbersOnly(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function capabilitiesOf(container: Container, origins: Origins): readonly string[] {
  const { path, capabilities } = container;
  if (container.privileged) {
    for (const name of allCapabilities)
      origins.of('capabilities', name, `${path}.securityContext.privileged`);
    return allCapabilities;
  }
  const named = (field: { scalar(): string }): string =>
    field
      .scalar()
      .toUpperCase()
      .replace(/^(?!CAP_|ALL$)/, 'CAP_');
  const drop = new Set(capabilities.drop.map(named));
  const base = drop.has('ALL') ? [] : [...defaultCapabilities].filter((name) => !drop.has(name));
  for (const name of base) origins.of('capabilities', name, 'the container engine');
  const added = capabilities.add.flatMap((field) => {
    const names = named(field) === 'ALL' ? allCapabilities : [named(field)];
    for (const name of names) origins.of('capabilities', name, field.path);
    return names;
  });
  return [...new Set([...base, ...added])];
}
