import { create } from '@bufbuild/protobuf';
import { sharedDirectory } from '@kata-agent/catalogue';
import {
  type CopyFileRequest,
  CopyFileRequestSchema,
  type CreateSandboxRequest,
  CreateSandboxRequestSchema,
  type UpdateEphemeralMountsRequest,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';
import type { ReadRequest } from './container-form.js';
import type { FormContext, SharedUse } from './forwarded-sandbox.js';
import {
  checkCleanPath,
  checkContainerId,
  checkCount,
  checkHostname,
  checkRange,
  hasControl,
  isName,
  malformed,
  NotAlike,
  quoted,
  refused,
} from './values.js';
import { belowShared } from './shared-paths.js';
import { readRemount } from './volume-storages.js';
import { readStorages } from './storage-forms.js';

/** @throws NotAlike */
export function readCreateSandbox(
  request: CreateSandboxRequest,
  context: FormContext,
): ReadRequest<CreateSandboxRequest> {
  const { hostname, dns, sandboxId, sandboxPidns, guestHookPath, kernelModules } = request;
  // It removes all that is below /run/kata-containers (Kata: src/agent/src/rpc.rs:1539).
  if (context.sandbox.hasSandbox)
    throw new NotAlike(
      'refused',
      'the sandbox exists: the inner agent would remove the files of its containers',
    );
  checkHostname('hostname', hostname);
  if (sandboxId !== '') checkContainerId(sandboxId);
  if (guestHookPath !== '')
    throw refused(
      'guest_hook_path',
      'hooks would run in the guest',
      'remove guest_hook_path from the runtime',
    );
  if (kernelModules.length > 0)
    throw refused('kernel_modules', 'they would be loaded in the guest', 'load them in the guest image');
  checkCount('storages', request.storages);
  checkCount('dns', dns);
  const strange = dns.find((line) => hasControl(line) || line.length > 1_024);
  if (strange !== undefined) throw malformed('dns', `${quoted(strange)} is not one line`);
  const owner = { container: undefined, annotations: {}, storages: request.storages };
  const storages = readStorages(owner, context);
  const message = create(CreateSandboxRequestSchema, {
    hostname,
    dns: [...dns],
    storages: storages.map((storage) => storage.message),
    sandboxPidns,
    sandboxId,
  });
  return { message, claims: { storages } };
}

export function readUpdateEphemeralMounts(
  request: UpdateEphemeralMountsRequest,
  context: FormContext,
): UpdateEphemeralMountsRequest {
  checkCount('storages', request.storages);
  const storages = request.storages.map((storage, index) =>
    readRemount(storage, `storages[${index}]`, context),
  );
  return create(UpdateEphemeralMountsRequestSchema, { storages });
}

const fileType = 0o170000;
const [directory, link] = [0o040000, 0o120000];

/** Kata's agent tests single bits of the type: a socket or a disk is a directory to it (Kata: src/agent/src/rpc.rs:2354-2406). */
const types: ReadonlySet<number> = new Set([0, 0o100000, directory, link]);

/**
 * A link is in the directory of a volume and leads to a name in it: the inner agent follows links in the sources of mounts.
 *
 * @throws NotAlike
 */
export function readCopyFile(request: CopyFileRequest): ReadRequest<CopyFileRequest> {
  const { path, fileSize, fileMode, dirMode, uid, gid, offset, data } = request;
  checkCleanPath('path', path);
  const [volume = '', ...below] = belowShared(path) ?? [];
  if (!isName(volume) || (below.length === 0 && path.endsWith('/passthrough')))
    throw refused('path', `${quoted(path)} is not a volume in ${sharedDirectory}, or in one`);
  checkRange('file_mode', fileMode, 0, 0o177777);
  const type = fileMode & fileType;
  if (!types.has(type))
    throw refused('file_mode', `0${fileMode.toString(8)} is not that of a file, directory or link`);
  checkRange('uid', uid, -1, 2 ** 31 - 1);
  checkRange('gid', gid, -1, 2 ** 31 - 1);
  checkRange('offset', offset, 0, 2n ** 62n);
  checkRange('file_size', fileSize, 0, 2n ** 62n);
  if (type === link) checkTarget(data, below.length);
  else if (type !== directory && offset + BigInt(data.length) > fileSize)
    throw malformed('data', `${data.length} bytes at ${offset} do not fit into a file of ${fileSize}`);
  const message = create(CopyFileRequestSchema, {
    path,
    fileSize,
    fileMode,
    dirMode,
    uid,
    gid,
    offset,
    data,
  });
  const names = new Map<string, SharedUse>([[volume, 'volume']]);
  return { message, claims: { names } };
}

function checkTarget(data: Uint8Array, depth: number): void {
  const target = Buffer.from(data).toString();
  if (target === '' || hasControl(target) || !Buffer.from(target).equals(data))
    throw malformed('data', `${quoted(target)} is not the target of a link`);
  const isInside = !target.startsWith('/') && !target.split('/').includes('..');
  if (depth === 0 || !isInside)
    throw refused(
      'data',
      `a link to ${quoted(target)} may leave its volume, and the inner agent follows it`,
      'copy the file instead of a link',
    );
}
