import { Code } from '@kata-agent/ttrpc';
import { CallError, explainFailure, type Io, renderRefusal } from '@kata-agent/cli';
import { programName } from '../program-name.js';

/** Reports whether the agent denied a call, rather than failed to carry it out. */
export function isRefusal(error: unknown): error is CallError {
  return (
    error instanceof CallError && (error.code === Code.Unimplemented || error.code === Code.PermissionDenied)
  );
}

/** Prints on standard error what does not work for the workload, or what could not be cleaned up. */
export function notice(io: Io, consequence: string, error: unknown): void {
  const reason =
    error instanceof CallError
      ? (renderRefusal(explainFailure(error))[0] ?? error.message)
      : error instanceof Error
        ? error.message
        : String(error);
  io.stderr.write(`${programName}: ${consequence}: ${reason}\n`);
}
