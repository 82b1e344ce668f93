import { closePassed, type PassedStdio } from '@kata-agent/guest';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { StdioDoor } from '../doors/stdio-door.js';
import type { Policy } from '../policy.js';
import type { Services } from './handler.js';

/** The ports by which a runtime asks for stdio over connections of its own; 0: not asked for. */
interface StdioPorts {
  readonly stdinPort: number;
  readonly stdoutPort: number;
  readonly stderrPort: number;
}

const stdioMethods = ['ReadStdout', 'ReadStderr', 'WriteStdin'] as const;

/**
 * Does something with the connections that a request names; undefined: it names none. They are closed when it fails.
 *
 * Stdio's second door (S22): who may not use the three methods may not have their data by another way either, now or
 * after the policy is narrowed.
 */
export async function withStdio<T>(
  { policy, stdioDoor }: Pick<Services, 'policy' | 'stdioDoor'>,
  listener: string,
  ports: StdioPorts,
  deed: (stdio: PassedStdio | undefined) => Promise<T>,
): Promise<T> {
  const named = [ports.stdinPort, ports.stdoutPort, ports.stderrPort].filter((port) => port !== 0);
  if (named.length === 0) return deed(undefined);
  const refused = whyRefused(policy, listener);
  if (refused !== undefined) {
    const message = `stdin_port, stdout_port and stderr_port need ${stdioMethods.join(', ')}, and ${refused}`;
    throw new TtrpcError(Code.PermissionDenied, message);
  }
  if (stdioDoor === undefined) {
    throw new TtrpcError(
      Code.FailedPrecondition,
      'stdio over ports needs the setting passfd_listener_port; without it send stdin_port, stdout_port and stderr_port as 0',
    );
  }
  if (new Set(named).size < named.length)
    throw new TtrpcError(Code.InvalidArgument, 'two of stdin_port, stdout_port and stderr_port are the same');
  const stdio = await take(stdioDoor, ports, () => whyRefused(policy, listener) === undefined);
  try {
    return await deed(stdio);
  } catch (error) {
    closePassed(stdio);
    throw error;
  }
}

async function take(door: StdioDoor, ports: StdioPorts, admitted: () => boolean): Promise<PassedStdio> {
  const take = async (port: number) => (port === 0 ? undefined : await door.take(port));
  const results = await Promise.allSettled([
    take(ports.stdinPort),
    take(ports.stdoutPort),
    take(ports.stderrPort),
  ]);
  const [stdin, stdout, stderr] = results.map((result) =>
    result.status === 'fulfilled' ? result.value : undefined,
  );
  const stdio: PassedStdio = { stdin, stdout, stderr, admitted };
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return stdio;
  closePassed(stdio);
  throw failed.reason;
}

function whyRefused(policy: Policy, listener: string): string | undefined {
  return stdioMethods.map((method) => whyNot(policy, listener, method)).find((why) => why !== undefined);
}

/** A rule looks at each call of a method, and data over a port makes none. */
function whyNot(policy: Policy, listener: string, method: string): string | undefined {
  if (policy.decide(listener, method).outcome === 'deny') return `${method} is not served here`;
  return policy.ruled(method) ? `a rule stands for ${method}, which a port would pass by` : undefined;
}
