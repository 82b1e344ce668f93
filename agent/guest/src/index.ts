export type { DataHub, SecureMount } from './confidential/data-hub.js';
export type { ImageConfig, PulledImage } from './request/actions.js';
export type { ImagePuller, SharedStoreUse, PackRequest, PullRequest } from './image/image-puller.js';
export type * from './request/actions.js';
export { isHybrid } from './cgroup/cgroup-paths.js';
export type * from './cgroup/container-stats.js';
export { Guest } from './guest.js';
export {
  type AllowedDevice,
  type AllowedModule,
  type AllowedPath,
  type GuestAccess,
  openAccess,
} from './guest-access.js';
export { GuestError, type GuestErrorKind } from './guest-error.js';
export type { ContainerNames, NamesOf } from './container/share-mounts.js';
export type { GuestLimits, GuestOptions } from './context/guest-options.js';
export type { SandboxClaim } from './sandbox/claim-sandbox.js';
export type { GuestLog, LogLevel } from './guest-log.js';
export type { GuestPaths } from './paths/guest-paths.js';
export type { OutputPolicy } from './stdio/prepare-streams.js';
export type { MemoryAgent, MemoryAgentSettings } from './memory-agent/memory-agent.js';
export type { CompactSettings, ReclaimSettings } from './memory-agent/memory-agent-settings.js';
export type * from './network/network-values.js';
export type * from './request/oci-spec.js';
export { type KnownRuntime, knownRuntime, knownRuntimes } from './runtime/known-runtimes.js';
export { containersIn } from './runtime/oci-runtime.js';
export { closePassed, type PassedStdio } from './request/actions.js';
export {
  addNeighbours,
  getPacketFilter,
  listInterfaces,
  listRoutes,
  setPacketFilter,
  updateInterface,
  updateRoutes,
} from './perform/network.js';
export { addSwap, addSwapPath, onlineCpuMem, probeMemory } from './perform/memory.js';
export {
  closeStdin,
  execProcess,
  readStream,
  resizeTerminal,
  signalProcess,
  waitProcess,
  writeStdin,
} from './perform/processes.js';
export {
  copyFile,
  resizeVolume,
  touchSharedMounts,
  updateEphemeralMounts,
  volumeStats,
} from './perform/storage.js';
export {
  createContainer,
  pauseContainer,
  removeContainer,
  resumeContainer,
  startContainer,
  statsContainer,
  updateContainer,
} from './perform/containers.js';
export {
  createSandbox,
  destroySandbox,
  getGuestDetails,
  nextOomEvent,
  reseedRandom,
  setClock,
  shutDown,
} from './perform/sandbox.js';
export type { ClockChange } from './resource/set-clock.js';
export { getMetrics, terminationMessage } from './perform/observation.js';
export { quotedName, quotedWord } from './quoted.js';
export { buildSpec } from './create/build-spec.js';
export { encodeSpec } from './spec/encode-spec.js';
export { defaultDevices } from './spec/device-rules.js';
