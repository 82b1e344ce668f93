export type * from './actions.js';
export type * from './container-stats.js';
export { Guest } from './guest.js';
export { GuestError, type GuestErrorKind } from './guest-error.js';
export type {
  GuestLimits,
  GuestLog,
  GuestOptions,
  GuestPaths,
  LogLevel,
  OutputPolicy,
} from './guest-options.js';
export type * from './oci-spec.js';
export { closeStdin } from './perform/close-stdin.js';
export { copyFile } from './perform/copy-file.js';
export { createContainer } from './perform/create-container.js';
export { createSandbox } from './perform/create-sandbox.js';
export { destroySandbox } from './perform/destroy-sandbox.js';
export { execProcess } from './perform/exec-process.js';
export { getGuestDetails } from './perform/get-guest-details.js';
export { nextOomEvent } from './perform/next-oom-event.js';
export { pauseContainer } from './perform/pause-container.js';
export { readStream } from './perform/read-stream.js';
export { removeContainer } from './perform/remove-container.js';
export { resizeTerminal } from './perform/resize-terminal.js';
export { resumeContainer } from './perform/resume-container.js';
export { signalProcess } from './perform/signal-process.js';
export { startContainer } from './perform/start-container.js';
export { statsContainer } from './perform/stats-container.js';
export { updateContainer } from './perform/update-container.js';
export { waitProcess } from './perform/wait-process.js';
export { writeStdin } from './perform/write-stdin.js';
