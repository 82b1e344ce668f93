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
  /** Its pods have names that begin with its own: all but a Pod that is named itself. */
  readonly namesPods: boolean;
  readonly namespace?: string;
  /** Of the pod, where they stand in the files. */
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly serviceAccount: string;
  /** Another host name than that of the pod. */
  readonly hostname?: string;
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
  /** Groups of all containers besides their own. */
  readonly supplementalGroups: readonly number[];
  readonly volumeGroup?: number;
  /** The image's own groups are not added. */
  readonly strictGroups: boolean;
  readonly sysctls: readonly { readonly name: string; readonly value: string; readonly path: string }[];
  /** The name of the host as the kernel tells it has the domain behind it. */
  readonly hostnameHasDomain: boolean;
  /** Its containers use the guest's own System V IPC. */
  readonly hostIpc: boolean;
  readonly sharesProcesses: boolean;
  /** The token of its service account is mounted into its containers. */
  readonly hasToken: boolean;
  /** Every service of the namespace is told to its containers in variables. */
  readonly hasServiceLinks: boolean;
  /** Each pod of the job has an index. */
  readonly indexed: boolean;
  /** The keys of the ConfigMaps and Secrets in the same files: `ConfigMap/settings` to its keys. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  /** The values of ConfigMaps in the same files, by object and key. What a Secret holds is never looked at. */
  readonly settings: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** What is not looked at although it may matter. */
  readonly notes: readonly string[];
}
