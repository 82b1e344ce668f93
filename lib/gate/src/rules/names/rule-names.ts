import { constants } from 'node:fs';
import { create, isMessage, type Message } from '@bufbuild/protobuf';
import { type MethodName, privilegedReasons } from '@kata-agent/catalogue';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  SignalProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema, MountSchema, UserSchema } from '@kata-agent/protocol/oci';
import { serviceVariables } from '../../facts/service-variables.js';
import { capabilitiesOf, directoryOf, processOf } from '../../facts/process-of.js';
import { privilegesOf, reasonsOf } from '../../privileged/privileges-of.js';
import { RuleError } from '../language/compiled.js';
import { bool, int, listOf, mapOf, string, type Type } from '../language/type.js';
import { callNames } from './call-names.js';
import { imageProcessName } from './image-names.js';
import type { RuleName } from './rule-name.js';

const processes: readonly MethodName[] = ['CreateContainer', 'ExecProcess'];

const creation: readonly MethodName[] = ['CreateContainer'];

const copying: readonly MethodName[] = ['CopyFile'];

const fileTypes = ['regular', 'directory', 'symlink', 'other'];

/** Short names for frequently used parts of requests. */
const shorthands: readonly RuleName[] = [
  shorthand('args', listOf(string), processes, {
    doc: 'The command and its arguments.',
    example: 'args.size() > 0 && args[0] in ["/bin/sh", "/bin/healthcheck"]',
    read: (request) => processOf(request)?.Args ?? [],
  }),
  shorthand('env', mapOf(string, string), processes, {
    doc:
      'The environment, from name to value. A request whose environment names a variable twice, or has an entry ' +
      'that is not NAME=value, is denied before a rule that uses it is evaluated.',
    example: 'env.all(name, !name.startsWith("LD_"))',
    read: (request) => environmentOf(processOf(request)?.Env ?? []),
  }),
  shorthand('service_env', mapOf(string, string), processes, {
    doc:
      'The variables of the environment that Kubernetes sets for services, from name to the name of the service: `CACHE_PORT` ' +
      'to `CACHE`. Names and values have exactly the form that the kubelet gives them, and those of a service agree: an address, ' +
      'numbers of ports, and `tcp://10.0.0.1:80`. The service of the API server is `KUBERNETES`.',
    example: 'env.all(name, name in service_env || name in ["PATH", "HOSTNAME"])',
    read: (request) => serviceVariables(environmentOf(processOf(request)?.Env ?? [])),
  }),
  shorthand('cwd', string, processes, {
    doc: 'The working directory.',
    example: 'cwd == "/" || cwd.within("/app")',
    read: (request) => directoryOf(processOf(request) ?? { Cwd: '' }),
  }),
  shorthand('user', { kind: 'message', message: UserSchema }, processes, {
    doc: 'The user that the process runs as: UID, GID, AdditionalGids, Username.',
    example: 'user.UID != 0',
    read: (request) => processOf(request)?.User ?? create(UserSchema),
  }),
  shorthand('terminal', bool, processes, {
    doc: 'Whether the process gets a terminal.',
    example: '!terminal',
    read: (request) => processOf(request)?.Terminal ?? false,
  }),
  shorthand('capabilities', listOf(string), processes, {
    // An exec that states none has those of its container.
    ofGuest: ['ExecProcess'],
    doc: 'Every capability in any of the five sets, sorted.',
    example: '!("CAP_SYS_ADMIN" in capabilities)',
    read: (request) => capabilitiesOf(processOf(request)?.Capabilities),
  }),
  shorthand('privileged', bool, processes, {
    doc: 'Whether the container or exec has access beyond itself: privileged_reasons is not empty.',
    example: '!privileged',
    read: (request, { access }) => privilegesOf(request, access).length > 0,
  }),
  shorthand(
    'privileged_reasons',
    listOf({ kind: 'string', among: Object.keys(privilegedReasons) }),
    processes,
    {
      doc: 'Why it is privileged: names of the [table below](#privileged-reasons), each once. A denial names them too.',
      example: 'privileged_reasons.all(reason, reason in ["shared-processes"])',
      read: (request, { access }) => reasonsOf(privilegesOf(request, access)),
    },
  ),
  shorthand('mounts', listOf({ kind: 'message', message: MountSchema }), creation, {
    doc: 'Mounts of the container: destination, source, type, options.',
    example: 'mounts.all(mount, mount.type != "bind" || mount.source.within("/run/kata-containers"))',
    read: (request) => specOf(request)?.Mounts ?? [],
  }),
  shorthand('devices', listOf({ kind: 'message', message: LinuxDeviceSchema }), creation, {
    doc: 'Device nodes that the container gets: Path, Type, Major, Minor and more.',
    example: 'devices.all(device, device.Path in ["/dev/null", "/dev/zero"])',
    read: (request) => specOf(request)?.Linux?.Devices ?? [],
  }),
  shorthand('path', string, copying, {
    doc: 'The target path of the file.',
    example: 'path.within("/run/kata-containers/shared/containers")',
    read: (request) => (isMessage(request, CopyFileRequestSchema) ? request.path : ''),
  }),
  shorthand('file_type', { kind: 'string', among: fileTypes }, copying, {
    doc: "regular, directory, symlink or other. A symlink's target is in request.data.",
    example: 'file_type != "symlink" || !string(request.data).startsWith("/")',
    read: (request) => (isMessage(request, CopyFileRequestSchema) ? fileTypeOf(request.fileMode) : 'other'),
  }),
  shorthand('signal', int, ['SignalProcess'], {
    doc: 'The number of the signal.',
    example: 'signal in [9, 15]',
    read: (request) => (isMessage(request, SignalProcessRequestSchema) ? BigInt(request.signal) : 0n),
  }),
];

/** All names available in rules, with their meanings. The reference page is generated from it. */
export const ruleNames: readonly RuleName[] = [...callNames, ...shorthands];

/** Returns the names available for one method. */
export function namesFor(method: MethodName): ReadonlyMap<string, RuleName> {
  return new Map(
    [...ruleNames, imageProcessName]
      .filter(({ methods }) => methods.includes(method))
      .map((name) => [name.name, name]),
  );
}

function shorthand(
  name: string,
  type: Type,
  methods: readonly MethodName[],
  row: Pick<RuleName, 'doc' | 'example' | 'read' | 'ofGuest'>,
): RuleName {
  return { name, methods, ...row, typeFor: () => type };
}

function specOf(request: Message) {
  return isMessage(request, CreateContainerRequestSchema) ? request.OCI : undefined;
}

/** Throws for a variable that occurs twice: the program might use the other value than the rule saw. */
function environmentOf(entries: readonly string[]): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const entry of entries) {
    const end = entry.indexOf('=');
    if (end < 1) throw new RuleError('the environment has an entry that is not NAME=value');
    const name = entry.slice(0, end);
    if (variables.has(name)) throw new RuleError(`the environment names ${JSON.stringify(name)} twice`);
    variables.set(name, entry.slice(end + 1));
  }
  return variables;
}

/** Without a type a file is regular, as in the agent. */
function fileTypeOf(mode: number): string {
  switch (mode & constants.S_IFMT) {
    case 0:
    case constants.S_IFREG:
      return 'regular';
    case constants.S_IFDIR:
      return 'directory';
    case constants.S_IFLNK:
      return 'symlink';
    default:
      return 'other';
  }
}
