import type {
  CopyFileRequest,
  CreateContainerRequest,
  CreateSandboxRequest,
} from '@kata-agent/protocol/agent';
import type { ARPNeighbor, Interface, Route } from '@kata-agent/protocol/types';
import {
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { YamlText } from '@kata-agent/analysis';
import type { KubeletVolume } from './kubelet-volume.js';

/** A pod, steps while it runs, and their expected results. */
export interface Scenario {
  /** What the scenario shows, as a sentence. */
  readonly title: string;
  readonly network: Network;
  readonly sandbox: CreateSandboxRequest;
  readonly containers: readonly ScenarioContainer[];
  /** Directories of the host that change while the pod runs. */
  readonly volumes: readonly KubeletVolume[];
  readonly steps: readonly Step[];
}

export interface Network {
  readonly interfaces: readonly Interface[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly ARPNeighbor[];
}

export interface ScenarioContainer {
  /** The container's name, also its ID. */
  readonly name: string;
  readonly request: CreateContainerRequest;
  /** Files that are copied into the guest before the container is created. */
  readonly copies: readonly CopyFileRequest[];
  /** Written to standard input, which is then closed; undefined: no input. */
  readonly stdin?: string;
}

/** One action or condition while the containers run. */
export type Step = StepAction & {
  readonly name: string;
  /** Milliseconds in which the step is retried until it succeeds; 0: one attempt. */
  readonly withinMs: number;
};

export type StepAction =
  | {
      readonly kind: 'exec';
      readonly container: string;
      readonly args: readonly string[];
      readonly stdin?: string;
      readonly expect: { readonly status: number; readonly stdout?: RegExp; readonly stderr?: RegExp };
    }
  | {
      readonly kind: 'call';
      readonly method: string;
      readonly request: JsonValue;
      readonly expect: CallExpectation;
    }
  /** The container's own output so far matches. */
  | { readonly kind: 'output'; readonly container: string; readonly pattern: RegExp }
  | { readonly kind: 'exit'; readonly container: string; readonly status: number }
  /** The agent reports that a process of the container was OOM-killed. */
  | { readonly kind: 'oom'; readonly container: string }
  /** Writes new files as the kubelet does after a ConfigMap or Secret changed. */
  | { readonly kind: 'volume'; readonly volume: KubeletVolume };

export type CallExpectation =
  | { readonly code: 'OK'; readonly reply?: JsonValue }
  | { readonly code: string; readonly says?: RegExp };

/** A node of a scenario. */
export type ScenarioNode = NonNullable<YamlText['root']>;

/**
 * Parses a message from proto3 JSON; field names can be those of the .proto file. Returns undefined if it is absent,
 * or invalid, which is reported.
 */
export function parseMessage<T extends DescMessage>(
  yaml: YamlText,
  schema: T,
  node: ScenarioNode | undefined,
  what: string,
): MessageShape<T> | undefined {
  if (node === undefined) return undefined;
  try {
    return fromJson(schema, yaml.value(node) as JsonObject);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    yaml.error('KA2006', node, `${what}: ${message}`, `write a ${schema.name} as in the .proto file`);
    return undefined;
  }
}
