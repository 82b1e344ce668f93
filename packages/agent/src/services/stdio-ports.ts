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
  for (const method of stdioMethods) {
    const why = whyNot(policy, listener, method);
    if (why === undefined) continue;
    throw new TtrpcError(
      Code.PermissionDenied,
      `stdin_port, stdout_port and stderr_port need ${stdioMethods.join(', ')}, and ${why}`,
    );
  }
  throw new TtrpcError(
    Code.FailedPrecondition,
    'stdio over ports (passfd_listener_port) is not built yet: send stdin_port, stdout_port and stderr_port as 0',
  );
}

/** A rule looks at each call of a method, and data over a port makes none. */
function whyNot(policy: Policy, listener: string, method: string): string | undefined {
  if (policy.decide(listener, method).outcome === 'deny') return `${method} is not served here`;
  return policy.ruled(method) ? `a rule stands for ${method}, which a port would pass by` : undefined;
}
