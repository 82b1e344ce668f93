import { create } from '@bufbuild/protobuf';
import { kataDirectory } from '@kata-agent/catalogue';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type ExecProcessRequest,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { type Hooks, HooksSchema, type Root, SpecSchema } from '@kata-agent/protocol/oci';
import { readDevices } from './device-forms.js';
import type { Claims, FormContext, SharedUse } from './forwarded-sandbox.js';
import { cgroupIdentity, readLinux } from './linux-form.js';
import { type MountForm, readMounts, usesOf } from './mount-forms.js';
import {
  checkCleanPath,
  checkContainerId,
  checkCount,
  checkExecId,
  checkHostname,
  checkText,
  malformed,
  quoted,
  refused,
} from './values.js';
import { belowShared, rootPaths, trustHostHelp, trustsHostFiles } from './shared-paths.js';
import { readProcess } from './process-form.js';
import { readStorages, type StorageForm } from './storage-forms.js';

/** A request that was read, and what it adds to the sandbox. */
export interface ReadRequest<M> {
  readonly message: M;
  readonly claims: Claims;
}

/** The kubelet's annotation with the path of the file that `GetDiagnosticData` reads. */
const terminationAnnotation = 'io.kubernetes.container.terminationMessagePath';

/** @throws NotAlike */
export function readCreateContainer(
  request: CreateContainerRequest,
  context: FormContext,
): ReadRequest<CreateContainerRequest> {
  const { containerId: id, execId, OCI, sandboxPidns } = request;
  checkContainerId(id);
  if (execId !== '' && execId !== id)
    throw refused(
      'exec_id',
      `${quoted(execId)} is not the id of the container: the inner agent takes no notice of it`,
    );
  checkNoUser(request.stringUser);
  checkNoPorts(request);
  if (request.sharedMounts.length > 0)
    throw refused('shared_mounts', 'no runtime sends them', 'use a volume of the pod');
  if (OCI === undefined) throw malformed('OCI', 'it is missing');
  const { Version, Process, Root, Hostname, Mounts, Hooks, Annotations, Linux, Solaris, Windows } = OCI;
  if (Root === undefined) throw malformed('OCI.Root', 'it is missing');
  if (Linux === undefined) throw malformed('OCI.Linux', 'it is missing');
  if (Solaris !== undefined || Windows !== undefined)
    throw refused('OCI', 'it has a section for another system, which the inner agent drops');
  if (!/^(?:\d{1,4}\.\d{1,4}\.\d{1,4}[A-Za-z0-9.+-]{0,40})?$/.test(Version))
    throw malformed('OCI.Version', `${quoted(Version)} is not a version`);
  checkHostname('OCI.Hostname', Hostname);
  for (const [name, parts] of Object.entries({
    'OCI.Mounts': Mounts,
    storages: request.storages,
    devices: request.devices,
    'OCI.Linux.Devices': Linux.Devices,
  }))
    checkCount(name, parts);
  checkAnnotations(Annotations);
  const owner = { container: id, annotations: Annotations, storages: request.storages, rootPath: Root.Path };
  const storages = readStorages(owner, context);
  const root = readRoot(Root, id, storages, context);
  const mountPoints = new Set(storages.map(({ mountPoint }) => mountPoint));
  const mounts = readMounts(Mounts, { container: id, mountPoints }, context);
  checkTerminationFile(Annotations, mounts);
  const devices = readDevices(request.devices, context);
  const message = create(CreateContainerRequestSchema, {
    containerId: id,
    execId,
    devices: [...devices],
    storages: storages.map(({ message }) => message),
    OCI: create(SpecSchema, {
      Version,
      Process: readProcess(Process, 'OCI.Process', context),
      Root: root,
      Hostname,
      Mounts: mounts.map(({ message }) => message),
      ...(Hooks === undefined ? {} : { Hooks: readHooks(Hooks) }),
      Annotations: { ...Annotations },
      Linux: readLinux(Linux, { devices, sandboxPidns }, context),
    }),
    sandboxPidns,
  });
  const claims: Claims = {
    container: id,
    storages: storages.map(({ mountPoint, identity, disk }) => ({
      mountPoint,
      identity: isOfContainer(mountPoint, id) ? `${id} ${identity}` : identity,
      ...(disk === undefined ? {} : { disk }),
    })),
    names: namesOf(id, storages, mounts),
    root: Root.Path,
    cgroup: cgroupIdentity(Linux.CgroupsPath),
  };
  return { message, claims };
}

/** The root of a container is mounted for it alone, also by an equal request. */
function isOfContainer(mountPoint: string, id: string): boolean {
  return rootPaths(id).has(mountPoint);
}

function namesOf(
  id: string,
  storages: readonly StorageForm[],
  mounts: readonly MountForm[],
): ReadonlyMap<string, SharedUse> {
  const names = new Map(usesOf(mounts));
  for (const { message } of storages) {
    const [first] = message.driver === 'local' ? (belowShared(message.mountPoint) ?? []) : [];
    if (first !== undefined) names.set(first, 'container');
    const [watched] = message.driver === 'watchable-bind' ? (belowShared(message.source) ?? []) : [];
    if (watched !== undefined) names.set(watched, 'volume');
  }
  const other = names.get(id);
  if (other === 'volume')
    throw refused('OCI.Mounts', `${quoted(id)} in the shared directory is the directory of this container`);
  return names.set(id, 'container');
}

/**
 * Reads the root. Kata's agent takes no notice of its path if `/run/kata-containers/CID/rootfs` exists (Kata:
 * src/agent/src/rpc.rs:2527-2543): what a storage mounts there is the root, and only then may the path name it.
 */
function readRoot(
  { Path, Readonly }: Root,
  id: string,
  storages: readonly StorageForm[],
  context: FormContext,
): { Path: string; Readonly: boolean } {
  const at = 'OCI.Root.Path';
  checkCleanPath(at, Path);
  const bundle = `${kataDirectory}/${id}/rootfs`;
  const hasStorage = (place: string): boolean =>
    storages.some(({ mountPoint }) => mountPoint === place) || context.sandbox.hasMountPoint(place);
  if (hasStorage(bundle) !== (Path === bundle))
    throw refused(
      at,
      `${quoted(Path)} would not be the root: ${hasStorage(bundle) ? `a storage is mounted at ${bundle}` : 'no storage is mounted there'}`,
      `use ${bundle} with a storage that is mounted there, and with no other`,
    );
  if (rootPaths(id).has(Path)) {
    const above = Path.slice(0, Path.lastIndexOf('/'));
    if (hasStorage(above) && !trustsHostFiles(context))
      throw refused(
        at,
        `${quoted(Path)} is in a file system of the host, where it can be a link`,
        trustHostHelp,
      );
    return { Path, Readonly };
  }
  const isKatas = Path === kataDirectory || Path.startsWith(`${kataDirectory}/`);
  if (isKatas || !opensRoot(Path, Readonly, context))
    throw refused(
      at,
      `${quoted(Path)} is not where Kata's runtimes have the root of container ${id}`,
      `use one of ${[...rootPaths(id).keys()].join(', ')}`,
    );
  return { Path, Readonly };
}

function opensRoot(path: string, readOnly: boolean, { access, isRefusing }: FormContext): boolean {
  if (!isRefusing) return true;
  return access.guestPaths.some((entry) => {
    const isWritable = entry.startsWith('rw:');
    const open = isWritable ? entry.slice('rw:'.length) : entry;
    return (isWritable || readOnly) && (open === '/' || path === open || path.startsWith(`${open}/`));
  });
}

/** Kata's agent runs hooks in the guest, and takes those after start for those after stop (trans.rs:1171-1190). */
function readHooks(hooks: Hooks): Hooks {
  const { Prestart, CreateRuntime, CreateContainer, StartContainer, Poststart, Poststop } = hooks;
  const all = [Prestart, CreateRuntime, CreateContainer, StartContainer, Poststart, Poststop];
  if (all.some((each) => each.length > 0))
    throw refused('OCI.Hooks', 'hooks would run in the guest', 'remove them from the container');
  return create(HooksSchema);
}

/** Names of CDI devices, as rules and the privilege check read them. */
const cdiDevice = /^[a-z0-9][a-z0-9.-]{0,63}\/[A-Za-z][A-Za-z0-9_-]{0,63}=[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;

function checkAnnotations(annotations: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(annotations)) {
    checkText('OCI.Annotations', name);
    checkText('OCI.Annotations', value);
    const devices = name.startsWith('cdi.k8s.io/') ? value.split(',') : [];
    const strange = devices.find((device) => !cdiDevice.test(device));
    if (strange !== undefined)
      throw malformed(
        `OCI.Annotations[${quoted(name)}]`,
        `${quoted(strange)} is not the name of a CDI device`,
      );
  }
}

/** GetDiagnosticData reads the source of this mount in the guest, and follows links (src/agent/src/rpc.rs:741-764). */
function checkTerminationFile(
  annotations: Readonly<Record<string, string>>,
  mounts: readonly MountForm[],
): void {
  const path = annotations[terminationAnnotation];
  const named = path === undefined ? [] : mounts.filter(({ message }) => message.destination === path);
  if (named.some(({ volume }) => volume === undefined))
    throw refused(
      `OCI.Annotations[${quoted(terminationAnnotation)}]`,
      `${quoted(path ?? '')} is not a file that the runtime has for the container, and GetDiagnosticData would return it`,
    );
}

export function readExecProcess(
  request: ExecProcessRequest,
  context: FormContext,
): ReadRequest<ExecProcessRequest> {
  const { containerId, execId, process } = request;
  checkExecId(execId, containerId);
  checkNoUser(request.stringUser);
  checkNoPorts(request);
  const message = create(ExecProcessRequestSchema, {
    containerId,
    execId,
    process: readProcess(process, 'process', context),
  });
  return { message, claims: { exec: { container: containerId, id: execId } } };
}

function checkNoUser(user: CreateContainerRequest['stringUser']): void {
  if (user !== undefined)
    throw refused('string_user', 'the inner agent takes no notice of it', 'set the numbers of User');
}

/** A port leads past all rules about reads and writes (S22), to a process of the inner agent. */
function checkNoPorts({
  stdinPort,
  stdoutPort,
  stderrPort,
}: CreateContainerRequest | ExecProcessRequest): void {
  if (stdinPort === 0 && stdoutPort === 0 && stderrPort === 0) return;
  throw malformed(
    'stdin_port, stdout_port and stderr_port',
    'they must be 0: with forward, stdio is available by calls alone',
  );
}
