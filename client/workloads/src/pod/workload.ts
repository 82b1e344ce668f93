import type { Container } from './container.js';
import type { OperatorAccess } from './operator-access.js';
import type { SealedLocation } from './sealed-secrets.js';
import type { UnservedField } from './unserved-fields.js';

/** The kinds of Kubernetes itself that create pods. */
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

/** A volume of a pod. */
export interface Volume {
  readonly name: string;
  /** The key of its source in Kubernetes: `emptyDir`, `configMap`, …. */
  readonly kind: string;
  /** Whether it is an emptyDir in memory. */
  readonly memory: boolean;
  /** The path of a hostPath volume. */
  readonly hostPath?: string;
  /** The claim of a persistentVolumeClaim volume. */
  readonly claim?: string;
  /** `spec.volumes[0]`. */
  readonly path: string;
}

/** A workload that creates pods, as far as it affects the agent's API. */
export interface Workload {
  /** One of `workloadKinds`, or the kind of an operator's objects, such as `Rollout`. */
  readonly kind: string;
  readonly name: string;
  /** Whether names of its pods only begin with its name: true for all kinds except Pod. */
  readonly namesPods: boolean;
  readonly namespace?: string;
  /** Labels and annotations of the pod, as in the files. */
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly serviceAccount: string;
  /** The hostname, if it differs from the pod's name. */
  readonly hostname?: string;
  /** As it was given. */
  readonly file: string;
  /** `pod.yaml:1:1`. */
  readonly place: string;
  /** The path to the pod's specification: `spec`, `spec.template.spec`. */
  readonly path: string;
  /** In starting order: init containers and sidecars first. */
  readonly containers: readonly Container[];
  readonly volumes: ReadonlyMap<string, Volume>;
  /** User and group from the pod's securityContext. */
  readonly user?: number;
  readonly group?: number;
  /** Supplementary groups of all containers. */
  readonly supplementalGroups: readonly number[];
  readonly volumeGroup?: number;
  /** Whether the groups of the image are omitted. */
  readonly strictGroups: boolean;
  readonly sysctls: readonly { readonly name: string; readonly value: string; readonly path: string }[];
  /** Whether the kernel's hostname includes the domain. */
  readonly hostnameHasDomain: boolean;
  /** Whether containers use the guest's IPC namespace. */
  readonly hostIpc: boolean;
  /** Whether containers join the process namespace of the pod: Kata's runtimes take that of the node for it. */
  readonly sharesProcesses: boolean;
  /** Whether containers have a user namespace: `hostUsers: false`. */
  readonly ownUsers: boolean;
  /** No configuration can be sufficient for them. */
  readonly unserved: readonly UnservedField[];
  /** Whether its service account's token is mounted into its containers. */
  readonly hasToken: boolean;
  /** Whether variables for every service of the namespace are set in its containers. */
  readonly hasServiceLinks: boolean;
  /** Whether each pod of the job has an index. */
  readonly indexed: boolean;
  /** The keys of the ConfigMaps and Secrets in the same files: `ConfigMap/settings` to its keys. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  /** The values of ConfigMaps in the same files, by object and key. Of Secrets only sealed values are read. */
  readonly settings: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Where its containers have sealed secrets, of the pod and of objects in the same files. */
  readonly sealedLocations: readonly SealedLocation[];
  /** Entries of the containers' hosts files. */
  readonly hostAliases: readonly { readonly address: string; readonly names: readonly string[] }[];
  /** What an operator may do with its pods; absent: nothing. */
  readonly operator?: OperatorAccess;
  /** Notes on ignored fields that can matter. */
  readonly notes: readonly string[];
}
