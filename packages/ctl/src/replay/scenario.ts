import type {
  CopyFileRequest,
  CreateContainerRequest,
  CreateSandboxRequest,
} from '@kata-agent/protocol/agent';
import type { ARPNeighbor, Interface, Route } from '@kata-agent/protocol/types';
import type { JsonValue } from '@bufbuild/protobuf';
import type { KubeletVolume } from './kubelet-volume.js';

/** A pod, what is done to it while it runs, and what has to come of that. */
export interface Scenario {
  /** What it shows, in a sentence. */
  readonly title: string;
  readonly network: Network;
  readonly sandbox: CreateSandboxRequest;
  readonly containers: readonly ScenarioContainer[];
  /** Folders of the host that change while the pod runs. */
  readonly volumes: readonly KubeletVolume[];
  readonly steps: readonly Step[];
}

export interface Network {
  readonly interfaces: readonly Interface[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly ARPNeighbor[];
}

export interface ScenarioContainer {
  /** Also its identifier. */
  readonly name: string;
  readonly request: CreateContainerRequest;
  /** Files that are copied into the guest before it is made. */
  readonly copies: readonly CopyFileRequest[];
  /** Written to its standard input, which is then closed; undefined: nothing is. */
  readonly stdin?: string;
}

/** One thing that is done, or waited for, while the containers run. */
export type Step = StepAction & {
  readonly name: string;
  /** Milliseconds in which it may be tried again until it holds; 0: it is tried once. */
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
  /** The agent tells that a process of the container was killed for want of memory. */
  | { readonly kind: 'oom'; readonly container: string }
  /** What the kubelet does when a ConfigMap or Secret has changed. */
  | { readonly kind: 'volume'; readonly volume: KubeletVolume };

export type CallExpectation =
  | { readonly code: 'OK'; readonly reply?: JsonValue }
  | { readonly code: string; readonly says?: RegExp };
