import { isMessage, type Message } from '@bufbuild/protobuf';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ResizeVolumeRequestSchema,
  type Storage,
  UpdateEphemeralMountsRequestSchema,
  VolumeStatsRequestSchema,
} from '@kata-agent/protocol/agent';
import { kataDirectory } from '@kata-agent/catalogue';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';

/**
 * `/run/user/UID` before Kata's directory, at the beginning of a path: of a whole value, of an option (`upperdir=`), or
 * of one of several layers (`lowerdir=A:B`).
 */
const rootlessDirectory = new RegExp(
  `(^|[=:,])/+run/+user/+[1-9][0-9]{0,9}/+(?=${kataDirectory.slice(1).replaceAll('/', '/+')}(?:[/:,]|$))`,
  'g',
);

/**
 * Converts paths to those of a runtime whose VMM runs as root. With `rootless`, Kata's runtimes run the VMM as a user of
 * its own, and put that user's directory before the paths of the guest that correspond to paths of the host:
 * `/run/user/1000/run/kata-containers/shared/containers` (Kata 4.1, `kataGuestSharedDir` in
 * src/runtime/virtcontainers/kata_agent.go, `prefix_with_rootless_dir` in src/libs/kata-types/src/lib.rs). The guest has
 * no such user. The conversion precedes rules and records, as that of names in a spec. The call's own message is
 * changed in place.
 */
export const rootlessPaths: ServerInterceptor<Caller> = (request, _context, next) => {
  convert(request);
  return next(request);
};

function convert(request: Message): void {
  if (isMessage(request, CreateContainerRequestSchema)) {
    convertStorages(request.storages);
    const { Root, Mounts = [] } = request.OCI ?? {};
    if (Root !== undefined) Root.Path = rootful(Root.Path);
    for (const mount of Mounts) mount.source = rootful(mount.source);
  } else if (isMessage(request, CreateSandboxRequestSchema)) convertStorages(request.storages);
  else if (isMessage(request, UpdateEphemeralMountsRequestSchema)) convertStorages(request.storages);
  else if (isMessage(request, CopyFileRequestSchema)) request.path = rootful(request.path);
  else if (isMessage(request, VolumeStatsRequestSchema) || isMessage(request, ResizeVolumeRequestSchema))
    request.volumeGuestPath = rootful(request.volumeGuestPath);
}

function convertStorages(storages: readonly Storage[]): void {
  for (const storage of storages) {
    storage.source = rootful(storage.source);
    storage.mountPoint = rootful(storage.mountPoint);
    storage.options = storage.options.map(rootful);
    storage.driverOptions = storage.driverOptions.map(rootful);
  }
}

function rootful(text: string): string {
  return text.replace(rootlessDirectory, '$1/');
}
