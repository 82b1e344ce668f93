import { type Entry, type FactName, celLiteral, sourcePlace } from '@kata-agent/workloads';
import { clone, isMessage, type Message } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  type Storage,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';

/** One list of a request, whose elements can be removed. */
export interface RequestPart {
  readonly fact: FactName;
  /** For people: `the variable`. */
  readonly word: string;
  /** One for each element. */
  readonly entries: readonly Entry[];
  /** Additional text for each element in messages. */
  readonly details?: readonly string[];
  /** Returns a copy of the request with only the elements at these positions. */
  readonly keep: (positions: ReadonlySet<number>) => Message;
}

/** Returns the lists of a request that rules can use. */
export function partsOf(request: Message): readonly RequestPart[] {
  if (isMessage(request, CreateContainerRequestSchema)) return containerParts(request);
  if (isMessage(request, ExecProcessRequestSchema)) {
    const copied = (): { readonly copy: Message; readonly process: Process | undefined } => {
      const copy = clone(ExecProcessRequestSchema, request);
      return { copy, process: copy.process };
    };
    return processParts(request.process, copied);
  }
  if (isMessage(request, CreateSandboxRequestSchema))
    return storageParts(request.storages, (storages) => {
      const copy = clone(CreateSandboxRequestSchema, request);
      copy.storages = storages;
      return copy;
    });
  if (isMessage(request, UpdateEphemeralMountsRequestSchema))
    return storageParts(request.storages, (storages) => {
      const copy = clone(UpdateEphemeralMountsRequestSchema, request);
      copy.storages = storages;
      return copy;
    });
  return [];
}

function containerParts(request: CreateContainerRequest): readonly RequestPart[] {
  const copied = (): CreateContainerRequest => clone(CreateContainerRequestSchema, request);
  const mounts = request.OCI?.Mounts ?? [];
  const sysctls = Object.entries(request.OCI?.Linux?.Sysctl ?? {});
  return [
    ...processParts(request.OCI?.Process, () => {
      const copy = copied();
      return { copy, process: copy.OCI?.Process };
    }),
    {
      fact: 'mounts',
      word: 'the mount',
      entries: mounts.map((mount) => [mount.type, mount.destination]),
      details: mounts.map((mount) => ` from ${celLiteral(sourcePlace(mount.source))}`),
      keep: (positions) => {
        const copy = copied();
        if (copy.OCI !== undefined) copy.OCI.Mounts = kept(copy.OCI.Mounts, positions);
        return copy;
      },
    },
    ...storageParts(request.storages, (storages) => {
      const copy = copied();
      copy.storages = storages;
      return copy;
    }),
    {
      fact: 'sysctls',
      word: 'the sysctl',
      entries: sysctls,
      keep: (positions) => {
        const copy = copied();
        const linux = copy.OCI?.Linux;
        if (linux !== undefined) linux.Sysctl = Object.fromEntries(kept(sysctls, positions));
        return copy;
      },
    },
    {
      fact: 'devices',
      word: 'the device',
      entries: (request.OCI?.Linux?.Devices ?? []).map((device) => [device.Type, device.Path]),
      keep: (positions) => {
        const copy = copied();
        const linux = copy.OCI?.Linux;
        if (linux !== undefined) linux.Devices = kept(linux.Devices, positions);
        return copy;
      },
    },
  ];
}

function processParts(
  process: Process | undefined,
  copied: () => { readonly copy: Message; readonly process: Process | undefined },
): readonly RequestPart[] {
  const env = process?.Env ?? [];
  const names = process?.Capabilities?.Bounding ?? [];
  return [
    {
      fact: 'environment',
      word: 'the variable',
      entries: env.map((entry) => entry.split('=')[0] ?? ''),
      keep: (positions) => {
        const { copy, process: own } = copied();
        if (own !== undefined) own.Env = kept(own.Env, positions);
        return copy;
      },
    },
    {
      fact: 'groups',
      word: 'the group',
      entries: (process?.User?.AdditionalGids ?? []).map(String),
      keep: (positions) => {
        const { copy, process: own } = copied();
        if (own?.User !== undefined) own.User.AdditionalGids = kept(own.User.AdditionalGids, positions);
        return copy;
      },
    },
    {
      fact: 'capabilities',
      word: 'the capability',
      entries: names,
      keep: (positions) => {
        const { copy, process: own } = copied();
        const sets = own?.Capabilities;
        if (sets !== undefined) {
          const few = kept(names, positions);
          Object.assign(sets, {
            Bounding: few,
            Effective: few,
            Permitted: few,
            Inheritable: [],
            Ambient: [],
          });
        }
        return copy;
      },
    },
  ];
}

function storageParts(
  storages: readonly Storage[],
  withOnly: (storages: Storage[]) => Message,
): readonly RequestPart[] {
  return [
    {
      fact: 'storages',
      word: 'the storage',
      entries: storages.map(storageEntry),
      keep: (positions) => withOnly(kept(storages, positions)),
    },
  ];
}

function storageEntry(storage: {
  readonly driver: string;
  readonly fstype: string;
  readonly mountPoint: string;
}): Entry {
  return [storage.driver, storage.fstype, sourcePlace(storage.mountPoint)];
}

function kept<T>(elements: readonly T[], positions: ReadonlySet<number>): T[] {
  return elements.filter((_, position) => positions.has(position));
}
