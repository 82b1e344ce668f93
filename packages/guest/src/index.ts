export type * from './actions.js';
export type * from './container-stats.js';
export { Guest } from './guest.js';
export {
  type AllowedDevice,
  type AllowedModule,
  type AllowedPath,
  type GuestAccess,
  openAccess,
} from './guest-access.js';
export { GuestError, type GuestErrorKind } from './guest-error.js';
export type {
  GuestLimits,
  GuestLog,
  GuestOptions,
  GuestPaths,
  LogLevel,
  OutputPolicy,
  SandboxClaim,
} from './guest-options.js';
export { MemoryAgent, type MemoryAgentSettings } from './memory-agent/memory-agent.js';
export type { CompactSettings, ReclaimSettings } from './memory-agent/memory-agent-settings.js';
export type * from './network/network-values.js';
export type * from './oci-spec.js';
export { closePassed, type PassedStdio } from './passfd/passed-stdio.js';
export { addNeighbours } from './perform/add-neighbours.js';
export { addSwap } from './perform/add-swap.js';
export { addSwapPath } from './perform/add-swap-path.js';
export { closeStdin } from './perform/close-stdin.js';
export { copyFile } from './perform/copy-file.js';
export { createContainer } from './perform/create-container.js';
export { createSandbox } from './perform/create-sandbox.js';
export { destroySandbox } from './perform/destroy-sandbox.js';
export { execProcess } from './perform/exec-process.js';
export { getGuestDetails } from './perform/get-guest-details.js';
export { getMetrics } from './perform/get-metrics.js';
export { getPacketFilter } from './perform/get-packet-filter.js';
export { listInterfaces } from './perform/list-interfaces.js';
export { listRoutes } from './perform/list-routes.js';
export { nextOomEvent } from './perform/next-oom-event.js';
export { onlineCpuMem } from './perform/online-cpu-mem.js';
export { pauseContainer } from './perform/pause-container.js';
export { probeMemory } from './perform/probe-memory.js';
export { readStream } from './perform/read-stream.js';
export { removeContainer } from './perform/remove-container.js';
export { reseedRandom } from './perform/reseed-random.js';
export { resizeTerminal } from './perform/resize-terminal.js';
export { resizeVolume } from './perform/resize-volume.js';
export { resumeContainer } from './perform/resume-container.js';
export { setClock } from './perform/set-clock.js';
export { setPacketFilter } from './perform/set-packet-filter.js';
export { signalProcess } from './perform/signal-process.js';
export { startContainer } from './perform/start-container.js';
export { statsContainer } from './perform/stats-container.js';
export { updateInterface } from './perform/update-interface.js';
export { updateRoutes } from './perform/update-routes.js';
export { volumeStats } from './perform/volume-stats.js';
export { terminationMessage } from './perform/termination-message.js';
export { touchSharedMounts } from './perform/touch-shared-mounts.js';
export { updateEphemeralMounts } from './perform/update-ephemeral-mounts.js';
export { updateContainer } from './perform/update-container.js';
export { waitProcess } from './perform/wait-process.js';
export { writeStdin } from './perform/write-stdin.js';
export { buildSpec } from './spec/build-spec.js';
export { encodeSpec } from './spec/encode-spec.js';
export { usualDevices } from './spec/usual-devices.js';
