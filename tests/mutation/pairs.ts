import { clone, isMessage } from '@bufbuild/protobuf';
import { SandboxView } from '@kata-agent/analysis';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import type { Storage } from '@kata-agent/protocol/agent';
import { isDeepStrictEqual } from 'node:util';
import type { ExpectedCall } from '@kata-agent/workloads';
import type { Expected } from './expected-requests.js';
import { guestRefusal, storageRefusal } from './guest-refusal.js';
import { containersAfter } from './run-mutations.js';

/** A request in which something of two containers, volumes or execs of a pod is exchanged. */
export interface Pair {
  /**
   * `merged`: a mount has the source of another one, with its storage; `swapped`: two have each other's; `repeated`: a
   * storage, device or container is there again; `moved`: an exec in another container.
   */
  readonly kind: 'merged' | 'swapped' | 'repeated' | 'moved';
  readonly of: 'mounts' | 'storages' | 'disks' | 'ids' | 'execs';
  /** `web=/cache with vault=/keys`. */
  readonly about: string;
  /** Index of the changed call. */
  readonly at: number;
  readonly request: ExpectedCall['request'];
}

type Create = ExpectedCall & { readonly request: CreateContainerRequest };

interface Mounted {
  readonly call: Create;
  readonly destination: string;
  readonly source: string;
  readonly subject: string;
}

/** Returns every pair of the pod's mounts, storages, containers and execs, merged, swapped, repeated and moved. */
export function* pairs({ calls }: Expected): Generator<Pair> {
  for (const [at, call] of calls.entries()) {
    if (isCreate(call)) {
      const earlier = calls.slice(0, at).filter(isCreate);
      yield* mountPairs(call, at, earlier);
      yield* storagePairs(call, at, earlier);
      for (const other of earlier)
        yield {
          kind: 'swapped',
          of: 'ids',
          about: `${nameOf(call)} with the ID of ${nameOf(other)}`,
          at,
          request: Object.assign(copyOf(call), { containerId: other.request.containerId }),
        };
    } else if (call.method === 'ExecProcess') yield* execPairs(call, at, calls);
  }
}

function isCreate(call: ExpectedCall): call is Create {
  return call.method === 'CreateContainer';
}

function copyOf(call: Create): CreateContainerRequest {
  return clone(CreateContainerRequestSchema, call.request);
}

function nameOf({ container = '' }: ExpectedCall): string {
  return container === '' ? 'pause' : container;
}

function mountsOf(call: Create): readonly Mounted[] {
  const sources = new Map((call.request.OCI?.Mounts ?? []).map((m) => [m.destination, m.source]));
  return (call.volumes ?? []).flatMap(({ destination, subject }) => {
    const source = sources.get(destination);
    return source === undefined || !source.startsWith('/run/kata-containers/')
      ? []
      : [{ call, destination, source, subject }];
  });
}

/** Pairs of mounts of different volumes. */
function* mountPairs(call: Create, at: number, earlier: readonly Create[]): Generator<Pair> {
  const own = mountsOf(call);
  for (const one of own)
    for (const other of [...own, ...earlier.flatMap(mountsOf)]) {
      if (other.subject === one.subject) continue;
      const about = `${nameOf(call)}=${one.destination} with ${nameOf(other.call)}=${other.destination}`;
      const merged = copyOf(call);
      setSource(merged, one, other);
      yield { kind: 'merged', of: 'mounts', about, at, request: merged };
      if (other.call !== call || other.destination < one.destination) continue;
      const swapped = copyOf(call);
      setSource(swapped, one, other);
      setSource(swapped, other, one);
      yield { kind: 'swapped', of: 'mounts', about, at, request: swapped };
    }
}

/** Gives a mount the source of another one, with the type and the storage that this needs. */
function setSource(request: CreateContainerRequest, one: Mounted, other: Mounted): void {
  const theirs = other.call.request.OCI?.Mounts.find(({ destination }) => destination === other.destination);
  const isUsed = request.OCI?.Mounts.filter(({ source }) => source === one.source).length !== 1;
  for (const mount of request.OCI?.Mounts ?? []) {
    if (mount.destination !== one.destination) continue;
    mount.source = other.source;
    mount.type = theirs?.type ?? mount.type;
  }
  const storage = other.call.request.storages.find(({ mountPoint }) => mountPoint === other.source);
  const rest = request.storages.filter(({ mountPoint }) => isUsed || mountPoint !== one.source);
  const isThere = rest.some(({ mountPoint }) => mountPoint === other.source);
  request.storages = storage === undefined || isThere ? rest : [...rest, storage];
}

/** Pairs of storages: exchanged mount points, the same one twice, and the disk of another one. */
function* storagePairs(call: Create, at: number, earlier: readonly Create[]): Generator<Pair> {
  const { storages } = call.request;
  for (const [index, one] of storages.entries()) {
    const repeated = copyOf(call);
    repeated.storages.push(one);
    yield { kind: 'repeated', of: 'storages', about: one.mountPoint, at, request: repeated };
    for (const other of [
      ...storages.slice(index + 1),
      ...earlier.flatMap(({ request }) => request.storages),
    ]) {
      if (other.mountPoint === one.mountPoint) continue;
      const about = `${one.mountPoint} with ${other.mountPoint}`;
      // Two equal requests: only their order changes.
      const isOwn = storages.some(({ mountPoint }) => mountPoint === other.mountPoint);
      if (isOwn && isEqual(one, other)) continue;
      const swapped = copyOf(call);
      for (const storage of swapped.storages) {
        if (storage.mountPoint === one.mountPoint) storage.mountPoint = other.mountPoint;
        else if (storage.mountPoint === other.mountPoint) storage.mountPoint = one.mountPoint;
      }
      yield { kind: 'swapped', of: 'storages', about, at, request: swapped };
      if (one.source === other.source) continue;
      const disk = copyOf(call);
      for (const storage of disk.storages)
        if (storage.mountPoint === one.mountPoint) storage.source = other.source;
      yield { kind: 'merged', of: 'disks', about, at, request: disk };
    }
  }
}

function isEqual(one: Storage, other: Storage): boolean {
  return isDeepStrictEqual({ ...one, mountPoint: '' }, { ...other, mountPoint: '' });
}

function* execPairs(call: ExpectedCall, at: number, calls: readonly ExpectedCall[]): Generator<Pair> {
  for (const other of calls.filter(isCreate)) {
    if (other.container === call.container) continue;
    const request = clone(ExecProcessRequestSchema, call.request as never);
    request.containerId = other.request.containerId;
    yield {
      kind: 'moved',
      of: 'execs',
      about: `an exec of ${nameOf(call)} in ${nameOf(other)}`,
      at,
      request,
    };
  }
  for (const other of calls) {
    if (other.method !== 'ExecProcess' || other.container === call.container) continue;
    const request = clone(ExecProcessRequestSchema, call.request as never);
    const theirs = clone(ExecProcessRequestSchema, other.request as never);
    if (theirs.process !== undefined) request.process = theirs.process;
    yield { kind: 'swapped', of: 'execs', about: `${nameOf(call)} with ${nameOf(other)}`, at, request };
  }
}

/** Returns what denies a pair: the rule, or the guest's message; undefined: nothing does. */
export function pairRefusal({ calls, authorizer, access, setup }: Expected, pair: Pair): string | undefined {
  const call = calls[pair.at];
  if (call === undefined) throw new TypeError(`there is no call ${pair.at}`);
  const view = new SandboxView(authorizer.listeners);
  const before = calls.slice(0, pair.at);
  for (const each of before) view.happened(each);
  const { method } = call;
  const decision = authorizer.decide(method, pair.request, view.context({ method, request: pair.request }));
  if (decision.outcome === 'deny') return `rule ${decision.rule ?? decision.reason}`;
  const state = {
    containers: containersAfter(before),
    access,
    verifiedLayers: setup.verifiedLayers !== undefined,
  };
  const earlier = before.filter(isCreate).map(({ request }) => request);
  const isCreated = isMessage(pair.request, CreateContainerRequestSchema);
  const ofStorages = isCreated ? storageRefusal(pair.request, earlier) : undefined;
  if (ofStorages !== undefined) return `guest ${ofStorages}`;
  if (guestRefusal(call.request, state) !== undefined) return undefined;
  const refusal = guestRefusal(pair.request, state);
  return refusal === undefined ? undefined : `guest ${refusal}`;
}
