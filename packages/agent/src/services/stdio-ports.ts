import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Policy } from '../policy.js';

/** The ports by which a runtime asks for stdio over connections of its own; 0: not asked for. */
interface StdioPorts {
  readonly stdinPort: number;
  readonly stdoutPort: number;
  readonly stderrPort: number;
}

const stdioMethods = ['ReadStdout', 'ReadStderr', 'WriteStdin'] as const;

/**
 * Stdio's second door (S22): who may not use the three methods may not have their data by another way either.
 * The door itself is not built yet, so that whoever may is told so.
 */
export function refuseStdioPorts(policy: Policy, listener: string, ports: StdioPorts): void {
  if (ports.stdinPort === 0 && ports.stdoutPort === 0 && ports.stderrPort === 0) return;
  const closed = stdioMethods.find((method) => policy.decide(listener, method).outcome === 'deny');
  if (closed !== undefined) {
    throw new TtrpcError(
      Code.PermissionDenied,
      `stdin_port, stdout_port and stderr_port need ${stdioMethods.join(', ')}, and ${closed} is not served here`,
    );
  }
  throw new TtrpcError(
    Code.FailedPrecondition,
    'stdio over ports (passfd_listener_port) is not built yet: send stdin_port, stdout_port and stderr_port as 0',
  );
}
