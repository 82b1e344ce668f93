import type { MethodName } from './methods.js';

/** A phase in the life of a pod, in order. */
export type Phase = 'sandbox' | 'create' | 'start' | 'exec' | 'observe' | 'stop' | 'destroy';

/** When a call is made that not every pod causes. */
export type Condition =
  | 'the pod has a policy'
  | 'the network has static neighbours'
  | 'there is no shared filesystem'
  | 'guest swap is on'
  | 'memory is added through the probe file'
  /** Unless `static_sandbox_resource_mgmt` is set, as for confidential guests. */
  | 'the runtime sizes the machine'
  | 'the process has a terminal'
  | 'the process has standard input'
  | 'a client executes a command'
  | 'a client collects metrics'
  | 'a client resizes a container'
  | 'a client pauses a container'
  | 'the machine came from a template';

/** One call of a runtime. */
export interface RuntimeCall {
  readonly phase: Phase;
  readonly method: MethodName;
  /** Absent when every pod causes the call. */
  readonly condition?: Condition;
  /** How the runtime handles UNIMPLEMENTED: fails the step, continues without it, or retries forever. */
  readonly refused: 'fails' | 'continues' | 'repeats';
}

/**
 * Kata's Go runtime, runtime-rs, and `remote`: the Go runtime with the remote hypervisor, for peer pods, behind the proxy
 * and the forwarder of cloud-api-adaptor.
 */
export type RuntimeName = 'go' | 'rs' | 'remote';

/**
 * The calls of each of Kata's runtimes, in order, from the source of Kata Containers 4.1.0 (7c6ba40c5): for the Go
 * runtime `virtcontainers/kata_agent.go` and the files beside it, for runtime-rs `crates/resource` and
 * `crates/runtimes/virt_container`. `grpc.Health` is left out because it is always served. A trace of the Go runtime
 * (3.27) under containerd shows the same calls, except that it sets interfaces and routes twice.
 */
const callsOfRuntimes: Readonly<Record<Exclude<RuntimeName, 'remote'>, readonly RuntimeCall[]>> = {
  go: [
    {
      phase: 'sandbox',
      method: 'ReseedRandomDev',
      condition: 'the machine came from a template',
      refused: 'fails',
    },
    {
      phase: 'sandbox',
      method: 'SetGuestDateTime',
      condition: 'the machine came from a template',
      refused: 'fails',
    },
    { phase: 'sandbox', method: 'SetPolicy', condition: 'the pod has a policy', refused: 'fails' },
    { phase: 'sandbox', method: 'UpdateInterface', refused: 'fails' },
    { phase: 'sandbox', method: 'UpdateRoutes', refused: 'fails' },
    {
      phase: 'sandbox',
      method: 'AddARPNeighbors',
      condition: 'the network has static neighbours',
      refused: 'continues',
    },
    { phase: 'sandbox', method: 'CreateSandbox', refused: 'fails' },
    { phase: 'sandbox', method: 'GetGuestDetails', refused: 'fails' },
    { phase: 'create', method: 'CopyFile', condition: 'there is no shared filesystem', refused: 'fails' },
    { phase: 'create', method: 'CreateContainer', refused: 'fails' },
    { phase: 'create', method: 'AddSwap', condition: 'guest swap is on', refused: 'fails' },
    {
      phase: 'create',
      method: 'MemHotplugByProbe',
      condition: 'memory is added through the probe file',
      refused: 'fails',
    },
    { phase: 'create', method: 'OnlineCPUMem', refused: 'fails' },
    {
      phase: 'create',
      method: 'UpdateEphemeralMounts',
      condition: 'the runtime sizes the machine',
      refused: 'continues',
    },
    { phase: 'start', method: 'StartContainer', refused: 'fails' },
    { phase: 'start', method: 'OnlineCPUMem', condition: 'the runtime sizes the machine', refused: 'fails' },
    {
      phase: 'start',
      method: 'UpdateEphemeralMounts',
      condition: 'the runtime sizes the machine',
      refused: 'continues',
    },
    { phase: 'start', method: 'GetOOMEvent', refused: 'repeats' },
    { phase: 'start', method: 'TtyWinResize', condition: 'the process has a terminal', refused: 'continues' },
    {
      phase: 'start',
      method: 'WriteStdin',
      condition: 'the process has standard input',
      refused: 'continues',
    },
    {
      phase: 'start',
      method: 'CloseStdin',
      condition: 'the process has standard input',
      refused: 'continues',
    },
    { phase: 'start', method: 'ReadStdout', refused: 'continues' },
    { phase: 'start', method: 'ReadStderr', refused: 'continues' },
    { phase: 'start', method: 'WaitProcess', refused: 'continues' },
    { phase: 'exec', method: 'ExecProcess', condition: 'a client executes a command', refused: 'fails' },
    { phase: 'observe', method: 'StatsContainer', condition: 'a client collects metrics', refused: 'fails' },
    { phase: 'observe', method: 'GetMetrics', condition: 'a client collects metrics', refused: 'continues' },
    {
      phase: 'observe',
      method: 'UpdateContainer',
      condition: 'a client resizes a container',
      refused: 'fails',
    },
    {
      phase: 'observe',
      method: 'PauseContainer',
      condition: 'a client pauses a container',
      refused: 'fails',
    },
    {
      phase: 'observe',
      method: 'ResumeContainer',
      condition: 'a client pauses a container',
      refused: 'fails',
    },
    { phase: 'stop', method: 'SignalProcess', refused: 'fails' },
    { phase: 'stop', method: 'WaitProcess', refused: 'continues' },
    {
      phase: 'stop',
      method: 'GetDiagnosticData',
      condition: 'there is no shared filesystem',
      refused: 'continues',
    },
    { phase: 'stop', method: 'RemoveContainer', refused: 'fails' },
    { phase: 'stop', method: 'RemoveStaleVirtiofsShareMounts', refused: 'fails' },
    { phase: 'destroy', method: 'DestroySandbox', refused: 'continues' },
  ],
  rs: [
    { phase: 'sandbox', method: 'SetPolicy', condition: 'the pod has a policy', refused: 'fails' },
    { phase: 'sandbox', method: 'UpdateInterface', refused: 'fails' },
    {
      phase: 'sandbox',
      method: 'AddARPNeighbors',
      condition: 'the network has static neighbours',
      refused: 'fails',
    },
    { phase: 'sandbox', method: 'UpdateRoutes', refused: 'fails' },
    { phase: 'sandbox', method: 'CreateSandbox', refused: 'fails' },
    { phase: 'sandbox', method: 'GetGuestDetails', refused: 'fails' },
    { phase: 'sandbox', method: 'GetOOMEvent', refused: 'repeats' },
    { phase: 'create', method: 'CopyFile', condition: 'there is no shared filesystem', refused: 'fails' },
    { phase: 'create', method: 'OnlineCPUMem', refused: 'fails' },
    { phase: 'create', method: 'AddSwap', condition: 'guest swap is on', refused: 'continues' },
    { phase: 'create', method: 'AddSwapPath', condition: 'guest swap is on', refused: 'continues' },
    { phase: 'create', method: 'CreateContainer', refused: 'fails' },
    { phase: 'start', method: 'StartContainer', refused: 'fails' },
    { phase: 'start', method: 'TtyWinResize', condition: 'the process has a terminal', refused: 'continues' },
    {
      phase: 'start',
      method: 'WriteStdin',
      condition: 'the process has standard input',
      refused: 'continues',
    },
    { phase: 'start', method: 'ReadStdout', refused: 'continues' },
    { phase: 'start', method: 'ReadStderr', refused: 'continues' },
    { phase: 'start', method: 'WaitProcess', refused: 'continues' },
    { phase: 'exec', method: 'ExecProcess', condition: 'a client executes a command', refused: 'fails' },
    { phase: 'observe', method: 'StatsContainer', condition: 'a client collects metrics', refused: 'fails' },
    { phase: 'observe', method: 'GetMetrics', condition: 'a client collects metrics', refused: 'fails' },
    {
      phase: 'observe',
      method: 'UpdateContainer',
      condition: 'a client resizes a container',
      refused: 'fails',
    },
    {
      phase: 'observe',
      method: 'PauseContainer',
      condition: 'a client pauses a container',
      refused: 'fails',
    },
    {
      phase: 'observe',
      method: 'ResumeContainer',
      condition: 'a client pauses a container',
      refused: 'fails',
    },
    { phase: 'stop', method: 'SignalProcess', refused: 'fails' },
    {
      phase: 'stop',
      method: 'GetDiagnosticData',
      condition: 'there is no shared filesystem',
      refused: 'continues',
    },
    { phase: 'stop', method: 'RemoveContainer', refused: 'fails' },
  ],
};

/**
 * Methods that the Go runtime never calls for the remote hypervisor: it sets up no network (`startSandbox`), and neither
 * adds memory and CPUs nor resizes (`static_sandbox_resource_mgmt = true` in configuration-remote.toml).
 */
const localOnly: ReadonlySet<MethodName> = new Set([
  'ReseedRandomDev',
  'SetGuestDateTime',
  'UpdateInterface',
  'UpdateRoutes',
  'AddARPNeighbors',
  'AddSwap',
  'MemHotplugByProbe',
  'OnlineCPUMem',
  'UpdateEphemeralMounts',
]);

/** The calls of all runtimes; those of `remote` are the Go runtime's without the ones that need a local machine. */
export const runtimeCalls: Readonly<Record<RuntimeName, readonly RuntimeCall[]>> = {
  ...callsOfRuntimes,
  remote: callsOfRuntimes.go.filter(({ method }) => !localOnly.has(method)),
};
