import type { MethodName } from '@kata-agent/catalogue';

/** What a call is good for, in the words of somebody who runs pods. */
export type Feature =
  | 'start of the pod'
  | 'network'
  | 'notice of containers that ran out of memory'
  | 'exit codes'
  | 'exec probes'
  | 'lifecycle hooks'
  | 'files of the cluster (configmaps, secrets, resolv.conf)'
  | 'standard input'
  | 'terminals'
  | 'output for who is attached'
  | 'termination messages'
  | 'stopping'
  | 'size of volumes in memory'
  | 'end of the sandbox';

const features: { readonly [M in MethodName]?: Feature } = {
  UpdateInterface: 'network',
  UpdateRoutes: 'network',
  AddARPNeighbors: 'network',
  GetOOMEvent: 'notice of containers that ran out of memory',
  WaitProcess: 'exit codes',
  ExecProcess: 'exec probes',
  CopyFile: 'files of the cluster (configmaps, secrets, resolv.conf)',
  WriteStdin: 'standard input',
  CloseStdin: 'standard input',
  TtyWinResize: 'terminals',
  ReadStdout: 'output for who is attached',
  ReadStderr: 'output for who is attached',
  GetDiagnosticData: 'termination messages',
  SignalProcess: 'stopping',
  RemoveContainer: 'stopping',
  RemoveStaleVirtiofsShareMounts: 'stopping',
  UpdateEphemeralMounts: 'size of volumes in memory',
  DestroySandbox: 'end of the sandbox',
};

/** What a pod loses when calls of the method are refused. */
export function featureOf(method: MethodName): Feature {
  return features[method] ?? 'start of the pod';
}
