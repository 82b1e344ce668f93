/**
 * The methods of `grpc.AgentService` in the order of `agent.proto`. A test compares the list with the service's
 * descriptor.
 */
export const methodNames = [
  'CreateContainer',
  'StartContainer',
  'RemoveContainer',
  'ExecProcess',
  'SignalProcess',
  'WaitProcess',
  'UpdateContainer',
  'UpdateEphemeralMounts',
  'StatsContainer',
  'PauseContainer',
  'ResumeContainer',
  'RemoveStaleVirtiofsShareMounts',
  'GetDiagnosticData',
  'WriteStdin',
  'ReadStdout',
  'ReadStderr',
  'CloseStdin',
  'TtyWinResize',
  'UpdateInterface',
  'UpdateRoutes',
  'ListInterfaces',
  'ListRoutes',
  'AddARPNeighbors',
  'GetIPTables',
  'SetIPTables',
  'GetMetrics',
  'MemAgentMemcgSet',
  'MemAgentCompactSet',
  'CreateSandbox',
  'DestroySandbox',
  'OnlineCPUMem',
  'ReseedRandomDev',
  'GetGuestDetails',
  'MemHotplugByProbe',
  'SetGuestDateTime',
  'CopyFile',
  'GetOOMEvent',
  'AddSwap',
  'AddSwapPath',
  'GetVolumeStats',
  'ResizeVolume',
  'SetPolicy',
] as const;

/** The exact name of a method of `grpc.AgentService`. */
export type MethodName = (typeof methodNames)[number];

const names: ReadonlySet<string> = new Set(methodNames);

/** Reports whether `text` is exactly the name of a method. */
export function isMethodName(text: string): text is MethodName {
  return names.has(text);
}
