import { isMessage, type Message } from '@bufbuild/protobuf';
import type { MethodName, RequestFacts } from '@kata-agent/catalogue';
import {
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  SignalProcessRequestSchema,
  type Storage,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';
import { claimedImage } from './claims.js';
import { capabilitiesOf, directoryOf, processOf } from './process-of.js';

/**
 * Returns what may be recorded of a decoded request (S18): names and kinds, never values. Absent parts are omitted; a
 * request without recordable parts gives an empty object.
 */
export function factsOf(method: MethodName, request: Message): RequestFacts {
  switch (method) {
    case 'CreateContainer':
      return isMessage(request, CreateContainerRequestSchema) ? containerFacts(request) : {};
    case 'ExecProcess':
      return processFacts(processOf(request));
    case 'CreateSandbox':
      return isMessage(request, CreateSandboxRequestSchema) ? storageFacts(request.storages) : {};
    case 'UpdateEphemeralMounts':
      return isMessage(request, UpdateEphemeralMountsRequestSchema) ? storageFacts(request.storages) : {};
    case 'CopyFile':
      return isMessage(request, CopyFileRequestSchema) ? { path: request.path } : {};
    case 'SignalProcess':
      return isMessage(request, SignalProcessRequestSchema) ? { signal: request.signal } : {};
    default:
      return {};
  }
}

function containerFacts({ OCI: spec, storages }: CreateContainerRequest): RequestFacts {
  const image = claimedImage(spec?.Annotations ?? {});
  return {
    ...processFacts(spec?.Process),
    mounts: (spec?.Mounts ?? []).map(({ type, source, destination }) => ({ type, source, destination })),
    ...storageFacts(storages),
    devices: (spec?.Linux?.Devices ?? []).map(({ Type, Path }) => ({ type: Type, path: Path })),
    ...(image === '' ? {} : { image }),
  };
}

function processFacts(process: Process | undefined): RequestFacts {
  if (process === undefined) return {};
  const { Args, Env, User, Terminal, Capabilities } = process;
  const [command] = Args;
  return {
    ...(command === undefined ? {} : { command, arguments: Args }),
    environment: [...new Set(Env.map(nameOf).filter((name) => name !== ''))].sort(),
    cwd: directoryOf(process),
    user: `${User?.UID ?? 0}:${User?.GID ?? 0}`,
    terminal: Terminal,
    capabilities: capabilitiesOf(Capabilities),
  };
}

function storageFacts(storages: readonly Storage[]): RequestFacts {
  return {
    storages: storages.map(({ driver, fstype, mountPoint }) => ({ driver, type: fstype, mountPoint })),
  };
}

/**
 * Returns the name before the first `=`. A variable without a name may be all value, so it is not recorded; the guest
 * rejects it.
 */
function nameOf(variable: string): string {
  return variable.slice(0, Math.max(variable.indexOf('='), 0));
}
