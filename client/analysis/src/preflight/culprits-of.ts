import {
  celLiteral,
  type Entry,
  type ExpectedCall,
  type FactName,
  originKey,
  sourcePlace,
} from '@kata-agent/workloads';
import { clone, isMessage, type Message } from '@bufbuild/protobuf';
import {
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  SignalProcessRequestSchema,
  type Storage,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';

/** A value of a request that a rule denies. */
export interface Culprit {
  readonly fact: FactName;
  /** For people: `the variable "LD_PRELOAD"`. */
  readonly text: string;
  /** The pod field that it comes from. */
  readonly because: string;
}

/**
 * Finds the values of a request that a rule denies, by evaluating it again: first with an empty list, then with single
 * elements. A value that cannot be removed (a command, a user) is reported if the expression uses it. Returns an empty
 * list if no value is found.
 */
export function culpritsOf(
  call: ExpectedCall,
  expression: string,
  passes: (request: Message) => boolean,
): readonly Culprit[] {
  for (const part of partsOf(call.request)) {
    if (!passes(part.keep(new Set()))) continue;
    const allowed = allowedPositions(part, call, passes);
    const found = part.entries.flatMap((value, position) =>
      allowed.has(position) ? [] : [culprit(call, part.fact, part.word, value, part.details?.[position])],
    );
    if (found.length > 0) return found;
  }
  return singleValues(call.request)
    .filter(({ named }) => named.test(expression))
    .map(({ fact, word, value }) => culprit(call, fact, word, value));
}

/**
 * Returns the positions of elements that the rule allows together. A rule may allow one only beside others, such as a variable beside
 * those that it is composed of; elements of one origin are first tried together.
 */
function allowedPositions(
  part: RequestPart,
  call: ExpectedCall,
  passes: (request: Message) => boolean,
): ReadonlySet<number> {
  const groups = new Map<string, number[]>();
  for (const [position, value] of part.entries.entries()) {
    const origin = call.origins.get(originKey(part.fact, value)) ?? String(position);
    groups.set(origin, [...(groups.get(origin) ?? []), position]);
  }
  const candidates = [...groups.values()].flatMap((group) =>
    group.length === 1 ? [group] : [group, ...group.map((position) => [position])],
  );
  const allowed = new Set<number>();
  for (let before = -1; before !== allowed.size; ) {
    before = allowed.size;
    for (const positions of candidates) {
      if (positions.every((position) => allowed.has(position))) continue;
      const together = new Set([...allowed, ...positions]);
      if (passes(part.keep(together))) for (const position of positions) allowed.add(position);
    }
  }
  return allowed;
}

interface SingleValue {
  readonly fact: FactName;
  readonly word: string;
  readonly value: Entry;
  /** The names for the value in an expression. */
  readonly named: RegExp;
}

function singleValues(request: Message): readonly SingleValue[] {
  if (isMessage(request, SignalProcessRequestSchema)) {
    return [{ fact: 'signal', word: 'the signal', value: request.signal, named: /\bsignal\b/ }];
  }
  if (isMessage(request, CopyFileRequestSchema)) {
    return [{ fact: 'path', word: 'files below', value: sourcePlace(request.path), named: /\bpath\b/ }];
  }
  const process = isMessage(request, ExecProcessRequestSchema)
    ? request.process
    : isMessage(request, CreateContainerRequestSchema)
      ? request.OCI?.Process
      : undefined;
  if (process === undefined) return [];
  const user = `${process.User?.UID ?? 0}:${process.User?.GID ?? 0}`;
  return [
    { fact: 'command', word: 'the command', value: process.Args, named: /\b(args|Args)\b/ },
    { fact: 'cwd', word: 'the working directory', value: process.Cwd, named: /\b(cwd|Cwd)\b/ },
    {
      fact: 'privileges',
      word: 'no_new_privs',
      value: String(process.NoNewPrivileges),
      named: /\bNoNewPrivileges\b/,
    },
    { fact: 'user', word: 'the user', value: user, named: /\b(user|User)\b/ },
    ...rootOf(request),
    {
      fact: 'terminal',
      word: 'a terminal:',
      value: String(process.Terminal),
      named: /\b(terminal|Terminal)\b/,
    },
  ];
}

function rootOf(request: Message): readonly SingleValue[] {
  if (!isMessage(request, CreateContainerRequestSchema)) return [];
  const value = String(request.OCI?.Root?.Readonly ?? false);
  return [{ fact: 'root', word: 'a read-only root:', value, named: /\bReadonly\b/ }];
}

function culprit(
  { origins, because }: ExpectedCall,
  fact: FactName,
  word: string,
  value: Entry,
  detail = '',
): Culprit {
  return {
    fact,
    text: `${word} ${celLiteral(value)}${detail}`,
    because: origins.get(originKey(fact, value)) ?? because,
  };
}

/** One list of a request, whose elements can be removed. */
interface RequestPart {
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
function partsOf(request: Message): readonly RequestPart[] {
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
