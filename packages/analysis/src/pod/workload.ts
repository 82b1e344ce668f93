import type { Container } from './container.js';

/** The kinds of Kubernetes that make pods. */
export const workloadKinds = [
  'Pod',
  'Deployment',
  'ReplicaSet',
  'ReplicationController',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'CronJob',
] as const;
export type WorkloadKind = (typeof workloadKinds)[number];

/** A volume of a pod. */
export interface Volume {
  readonly name: string;
  /** `emptyDir`, `configMap`, …: the key of its source in Kubernetes. */
  readonly kind: string;
  /** An emptyDir in memory. */
  readonly memory: boolean;
  /** Of a hostPath. */
  readonly hostPath?: string;
  /** `spec.volumes[0]`. */
  readonly path: string;
}

/** What makes pods, as far as the agent's API sees of it. */
export interface Workload {
  readonly kind: WorkloadKind;
  readonly name: string;
  /** `pod.yaml:1:1`. */
  readonly place: string;
  /** Where the pod's specification stands: `spec`, `spec.template.spec`. */
  readonly path: string;
  /** In the order in which they start: init containers and sidecars first. */
  readonly containers: readonly Container[];
  readonly volumes: ReadonlyMap<string, Volume>;
  /** The user and group of the whole pod, from its securityContext. */
  readonly user?: number;
  readonly group?: number;
  readonly sharesProcesses: boolean;
  /** The token of its service account is mounted into its containers. */
  readonly hasToken: boolean;
  /** Every service of the namespace is told to its containers in variables. */
  readonly hasServiceLinks: boolean;
  /** Each pod of the job has an index. */
  readonly indexed: boolean;
  /** The keys of the ConfigMaps and Secrets in the same files: `ConfigMap/settings` to its keys. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  /** What is not looked at although it may matter. */
  readonly notes: readonly string[];
}
