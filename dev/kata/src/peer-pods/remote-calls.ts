// The calls that the shim sends with the remote hypervisor, as they were recorded.
import { type DescMessage, isMessage, toJson } from '@bufbuild/protobuf';
import { type MethodName, runtimeCalls } from '@kata-agent/catalogue';
import {
  AgentService,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import type { RecordedCall } from './forwarder.js';

const repeated: ReadonlySet<string> = new Set([
  'Check',
  'Version',
  'GetOOMEvent',
  'ReadStdout',
  'ReadStderr',
  'WaitProcess',
]);

/**
 * The calls of a pod with one container, in which commands are executed, without the repeated ones and each run of one method once.
 * Recorded of Kata 3.27.0 (7cc2e9710b).
 */
export const recordedSequence: readonly MethodName[] = [
  'CreateSandbox',
  'GetGuestDetails',
  'CopyFile',
  'CreateContainer',
  'StartContainer',
  'CopyFile',
  'CreateContainer',
  'StartContainer',
  'ExecProcess',
  'StatsContainer',
  'ExecProcess',
  'SignalProcess',
  'RemoveContainer',
  'RemoveStaleVirtiofsShareMounts',
  'SignalProcess',
  'RemoveContainer',
  'RemoveStaleVirtiofsShareMounts',
  'DestroySandbox',
];

/** Returns the methods of calls in the form of `recordedSequence`. */
export function sequenceOf(calls: readonly RecordedCall[]): readonly string[] {
  const methods = calls.map(({ method }) => method).filter((method) => !isRepeated(method));
  return methods.filter((method, index) => method !== methods[index - 1]);
}

/**
 * Returns how calls differ from the catalogue of calls of this runtime: methods that it does not have, and methods that it has for each
 * pod and that were not called.
 */
export function differenceFromCatalogue(calls: readonly RecordedCall[]): readonly string[] {
  const called = new Set(calls.map(({ method }) => method));
  const known = new Set<string>(['Check', 'Version', ...runtimeCalls.remote.map(({ method }) => method)]);
  const always = runtimeCalls.remote.filter(({ condition }) => condition === undefined);
  return [
    ...[...called]
      .filter((method) => !known.has(method))
      .map((method) => `${method} is not in the catalogue`),
    ...always.filter(({ method }) => !called.has(method)).map(({ method }) => `${method} was not called`),
  ];
}

/** Reports whether number and place of the calls of a method depend on time. */
function isRepeated(method: string): boolean {
  return repeated.has(method);
}

/** The parts of a request for a container that differ from those of a pod on the node. */
export interface RemoteContainer {
  readonly root: string;
  readonly rootStorage: { readonly driver: string; readonly source: string; readonly mountPoint: string };
  readonly namespaces: readonly string[];
}

/** Returns them for each CreateContainer, with `ID` for the ID. */
export function remoteContainers(calls: readonly RecordedCall[]): readonly RemoteContainer[] {
  return calls.flatMap(({ request }) =>
    isMessage(request, CreateContainerRequestSchema) ? [remoteContainer(request)] : [],
  );
}

function remoteContainer({ containerId, storages, OCI }: CreateContainerRequest): RemoteContainer {
  const withoutId = (path: string): string => path.replaceAll(containerId, 'ID');
  const [root] = storages;
  return {
    root: withoutId(OCI?.Root?.Path ?? ''),
    rootStorage: {
      driver: root?.driver ?? '',
      source: root?.source ?? '',
      mountPoint: withoutId(root?.mountPoint ?? ''),
    },
    namespaces: (OCI?.Linux?.Namespaces ?? []).map(({ Type, Path }) =>
      Path === '' ? Type : `${Type}=${Path}`,
    ),
  };
}

const inputs = new Map<string, DescMessage>(AgentService.methods.map(({ name, input }) => [name, input]));

// The calls of the shim as a file from which tests without Kata call an agent.

/**
 * Returns calls in JSON: without the repeated ones, and of the commands that were executed only the first. `replaced`: texts of this run
 * that others replace.
 */
export function recordingOf(
  calls: readonly RecordedCall[],
  replaced: readonly (readonly [text: string, by: string])[],
): string {
  const firstExec = calls.find(({ request }) => isMessage(request, ExecProcessRequestSchema));
  const recorded = calls.flatMap((call) => {
    const { method, request } = call;
    const input = inputs.get(method);
    if (input === undefined || isRepeated(method)) return [];
    if (isMessage(request, ExecProcessRequestSchema) && call !== firstExec) return [];
    return [{ method, request: toJson(input, request) }];
  });
  return replaced.reduce(
    (text, [value, by]) => text.replaceAll(value, by),
    `${JSON.stringify(recorded, null, 1)}\n`,
  );
}
