import type { MethodName } from '@kata-agent/catalogue';

/** The use of a call, in terms of Kubernetes. */
export type Feature =
  | 'pod start'
  | 'network'
  | 'OOM events'
  | 'exit codes'
  | 'exec probes'
  | 'lifecycle hooks'
  | 'files of the cluster (configmaps, secrets, resolv.conf)'
  | 'standard input'
  | 'terminals'
  | 'output for kubectl attach'
  | 'termination messages'
  | 'stopping'
  | 'resizing of tmpfs volumes'
  | 'sandbox removal'
  | 'kubectl logs'
  | 'kubectl top'
  | 'kubectl exec';

const features: { readonly [M in MethodName]?: Feature } = {
  UpdateInterface: 'network',
  UpdateRoutes: 'network',
  AddARPNeighbors: 'network',
  GetOOMEvent: 'OOM events',
  WaitProcess: 'exit codes',
  ExecProcess: 'exec probes',
  CopyFile: 'files of the cluster (configmaps, secrets, resolv.conf)',
  WriteStdin: 'standard input',
  CloseStdin: 'standard input',
  TtyWinResize: 'terminals',
  ReadStdout: 'output for kubectl attach',
  ReadStderr: 'output for kubectl attach',
  GetDiagnosticData: 'termination messages',
  SignalProcess: 'stopping',
  RemoveContainer: 'stopping',
  RemoveStaleVirtiofsShareMounts: 'stopping',
  UpdateEphemeralMounts: 'resizing of tmpfs volumes',
  DestroySandbox: 'sandbox removal',
};

/** Returns what a pod loses if calls of the method are denied. */
export function featureOf(method: MethodName): Feature {
  return features[method] ?? 'pod start';
}
