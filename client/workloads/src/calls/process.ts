import { create } from '@bufbuild/protobuf';
import { capabilities as everyCapability } from '@kata-agent/catalogue';
import { defaultCapabilities } from '@kata-agent/gate';
import { type Process, ProcessSchema } from '@kata-agent/protocol/oci';
import type { Container } from '../pod/container.js';
import type { ImageConfig } from '../pod/container-image.js';
import type { Workload } from '../pod/workload.js';
import type { Entry, ValueForm } from '../facts/fact.js';
import { celText, codeWords, expand, knownText, type Part, references, sampleText } from './expansion.js';
import { type Environment, environmentOf, missingImage } from './environment.js';
import type { Origins } from './expected-call.js';

/** A first process, and values for rules beyond its message. */
export interface FirstProcess {
  readonly process: Process;
  /** Variables in the form of rules' lists. */
  readonly variables: readonly Entry[];
  readonly groups: readonly string[];
  /** CEL of each word of the command line; absent: unknown. */
  readonly words?: readonly string[];
}

/** Returns the first process of a container as the runtimes send it; unknown values are reported to `origins`. */
export function processOf(
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
  origins: Origins,
): FirstProcess {
  const environment = environmentOf(workload, container, image, origins);
  const { entries, variables } = environment;
  const user = userOf(workload, container, image, origins);
  const names = capabilitiesOf(container, origins);
  const groups = groupsOf(workload, user.gid, container.path, origins, image?.groups);
  if (image === undefined && !workload.strictGroups) {
    const why = missingImage(container.image);
    origins.guessed('groups', why);
    origins.opened({ fact: 'groups', field: 'supplementary groups', why }, {});
  }
  const { args, words } = argsOf(container, image, environment, origins);
  const field = `${container.path}.securityContext.allowPrivilegeEscalation`;
  origins.of('privileges', String(!container.mayGainPrivileges), field);
  const process = create(ProcessSchema, {
    Terminal: container.terminal,
    User: { UID: user.uid ?? 0, GID: user.gid ?? 0, AdditionalGids: [...groups.all] },
    Args: [...args],
    Env: [...entries],
    Cwd: directoryOf(container, image, origins),
    Capabilities: { Bounding: [...names], Effective: [...names], Permitted: [...names] },
    NoNewPrivileges: !container.mayGainPrivileges,
  });
  return { process, variables, groups: groups.listed, ...(words === undefined ? {} : { words }) };
}

/**
 * Returns the groups for rules and those of the request. The engine adds the user's own group, and supplementary groups
 * from the image's /etc/group, which the image configuration must name.
 *
 * Source: containerd `WithAdditionalGIDs`.
 *
 * @param gid undefined: the user's own group is unknown
 */
export function groupsOf(
  workload: Workload,
  gid: number | undefined,
  path: string,
  origins: Origins,
  ofImage: readonly number[] = [],
): { readonly all: readonly number[]; readonly listed: readonly string[] } {
  const { supplementalGroups, volumeGroup, strictGroups, path: pod } = workload;
  const own = `the group of ${path}`;
  const groups = new Map<number, string>(gid === undefined ? [] : [[gid, own]]);
  if (gid === undefined)
    origins.form('groups', {
      condition: 'g == user.GID',
      meaning: { kind: 'group of the user' },
      because: own,
    });
  const add = (group: number, because: string): void => {
    if (!groups.has(group)) groups.set(group, because);
  };
  for (const [index, group] of supplementalGroups.entries())
    add(group, `${pod}.securityContext.supplementalGroups[${index}]`);
  if (volumeGroup !== undefined) add(volumeGroup, `${pod}.securityContext.fsGroup`);
  if (!strictGroups) for (const group of ofImage) add(group, `${path}.image: groups`);
  for (const [group, because] of groups) origins.of('groups', String(group), because);
  const listed = [...groups.keys()];
  return { all: gid === undefined ? [0, ...listed] : listed, listed: listed.map(String) };
}

/** The command line: samples, and CEL for each word unless some are unknown. */
interface CommandLine {
  readonly args: readonly string[];
  readonly words?: readonly string[];
}

function argsOf(
  container: Container,
  image: ImageConfig | undefined,
  environment: Environment,
  origins: Origins,
): CommandLine {
  const { command, args, path } = container;
  const expanded = (list: readonly string[]): readonly (readonly Part[])[] =>
    list.map((text) => expand(text, environment.resolve));
  // `before`, `after`: the other words of the line; undefined: a word is unknown.
  const openWords = (
    field: 'command' | 'args',
    own: readonly (readonly Part[])[],
    before: readonly (readonly Part[] | undefined)[],
    after: readonly (readonly Part[])[] = [],
  ): void => {
    const code = codeWords([...before, ...own, ...after]);
    for (const [index, parts] of own.entries())
      for (const { name, open: source } of references(parts)) {
        if (source === undefined) continue;
        const runs = code.get(before.length + index);
        const from = `$(${name}) from ${source}`;
        origins.open.push({
          fact: 'commandLine',
          field: `${field}[${index}]`,
          why: runs === undefined ? from : `${runs}, which the source of the variable chooses: ${from}`,
          ...(runs === undefined ? {} : { isCode: true }),
        });
      }
  };
  const sample = (parts: readonly Part[]): string => sampleText(parts, environment.sample);
  if (command === undefined && image === undefined) {
    const why = missingImage(container.image);
    origins.guessed('command', why);
    const known = expanded(args ?? []);
    openWords('args', known, [undefined]);
    const field = args === undefined ? 'command, args' : 'command';
    origins.opened({ fact: 'commandLine', field, why }, endsWith(known));
    return { args: ['unknown', ...known.map(sample)] };
  }
  const texts = (list: readonly string[]): readonly (readonly Part[])[] => list.map((text) => [text]);
  const ofArgs = args === undefined ? undefined : expanded(args);
  const program = command === undefined ? texts(image?.entrypoint ?? []) : expanded(command);
  const others = ofArgs ?? (command === undefined ? texts(image?.cmd ?? []) : []);
  const line = [...program, ...others];
  if (command !== undefined) openWords('command', program, [], others);
  if (args !== undefined) openWords('args', others, program);
  const because =
    command === undefined
      ? `${path}.image${args === undefined ? '' : `, ${path}.args`}`
      : `${path}.command${args === undefined ? '' : `, ${path}.args`}`;
  const words = line.map(celText);
  const samples = line.map(sample);
  if (line.every((parts) => knownText(parts) !== undefined)) {
    origins.of('command', samples, because);
    origins.of('commandLine', [container.name, ...samples], because);
  } else {
    origins.guessed('command', `${because}: a word has the value of a variable`);
    origins.form('commandLine', { condition: `args == [${words.join(', ')}]`, because });
  }
  return { args: samples, words };
}

/** Returns the form of a command line of which the last words are the pod’s. */
function endsWith(words: readonly (readonly Part[])[]): Pick<ValueForm, 'condition' | 'meaning'> {
  if (words.length === 0) return {};
  const conditions = words.map(
    (word, index) => `args[args.size() - ${words.length - index}] == ${celText(word)}`,
  );
  const texts = words.flatMap((word) => knownText(word) ?? []);
  return {
    condition: [`args.size() >= ${words.length}`, ...conditions].join(' && '),
    ...(texts.length === words.length ? { meaning: { kind: 'last words', words: texts } } : {}),
  };
}

function directoryOf(container: Container, image: ImageConfig | undefined, origins: Origins): string {
  const { workingDir, path } = container;
  if (workingDir !== undefined) {
    origins.of('cwd', workingDir, `${path}.workingDir`);
    return workingDir;
  }
  if (image === undefined) {
    const why = missingImage(container.image);
    origins.guessed('cwd', why);
    origins.opened(
      { fact: 'cwd', field: 'workingDir', why },
      { condition: 'cwd.startsWith("/")', meaning: { kind: 'absolute path' } },
    );
    return '/';
  }
  const directory = image.workingDir || '/';
  origins.of('cwd', directory, `${path}.image`);
  return directory;
}

/** The user of a process, as far as it is known. */
interface User {
  readonly uid?: number;
  readonly gid?: number;
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
  if (uid !== undefined) {
    if (gid === undefined && uid !== 0) return groupOfImage(uid, field, origins);
    origins.of('user', `${uid}:${gid ?? 0}`, `${field}.securityContext`);
    return { uid, gid: gid ?? 0 };
  }
  if (image === undefined)
    return unknownUser(gid === undefined ? {} : { gid }, missingImage(container.image), origins);
  const [imageUser = '', imageGroup] = (image.user || '0').split(':');
  const ofImage = numbersOnly(imageUser);
  const group = gid ?? (imageGroup === undefined && imageUser === '0' ? 0 : numbersOnly(imageGroup));
  if (ofImage !== undefined && group !== undefined) {
    origins.of('user', `${ofImage}:${group}`, `${path}.image`);
    return { uid: ofImage, gid: group };
  }
  const remedy = `set ${path}.securityContext.runAsUser and runAsGroup`;
  const why = `image ${container.image} has a user name, "${image.user}", and no numbers: ${remedy}`;
  const known = {
    ...(ofImage === undefined ? {} : { uid: ofImage }),
    ...(group === undefined ? {} : { gid: group }),
  };
  return unknownUser(known, why, origins);
}

/** Returns a user whose group the image's passwd file determines. `field`: of the security context. */
export function groupOfImage(uid: number, field: string, origins: Origins): User {
  const why = `${field}.securityContext: runAsUser without runAsGroup takes the group from the image`;
  return unknownUser({ uid }, why, origins);
}

/** Records which of the two numbers of a user is open. */
function unknownUser(user: User, why: string, origins: Origins): User {
  const { uid, gid } = user;
  origins.guessed('user', why);
  origins.guessed('groups', why);
  const field = [...(uid === undefined ? ['user'] : []), ...(gid === undefined ? ['group of the user'] : [])];
  const known = [
    ...(uid === undefined ? [] : [`user.UID == ${uid}`]),
    ...(gid === undefined ? [] : [`user.GID == ${gid}`]),
  ];
  const form =
    known.length === 0 ? {} : { condition: known.join(' && '), meaning: { kind: 'user', ...user } as const };
  origins.opened({ fact: 'user', field: field.join(', '), why }, form);
  return user;
}

function numbersOnly(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function capabilitiesOf(container: Container, origins: Origins): readonly string[] {
  const { path, capabilities } = container;
  if (container.privileged) {
    for (const name of everyCapability)
      origins.of('capabilities', name, `${path}.securityContext.privileged`);
    return everyCapability;
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
    const names = named(field) === 'ALL' ? everyCapability : [named(field)];
    for (const name of names) origins.of('capabilities', name, field.path);
    return names;
  });
  return [...new Set([...base, ...added])];
}
