import { closePassed, type PassedStdio } from '@kata-agent/guest';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { StdioPorts } from '../side-channels/stdio-ports.js';
import type { Policy } from '../policy/policy.js';
import type { Services } from './handler.js';

/** The ports with which a runtime requests stdio over separate connections; 0: not requested. */
interface RequestedPorts {
  readonly stdinPort: number;
  readonly stdoutPort: number;
  readonly stderrPort: number;
}

const stdioMethods = ['ReadStdout', 'ReadStderr', 'WriteStdin'] as const;

/**
 * Runs `work` with the connections that a request names; undefined if it names none. They are closed on failure.
 *
 * Stdio's side channel (S22): a peer that may not use the three methods must not get their data over ports either, now
 * or after the policy is narrowed.
 */
export async function withStdio<T>(
  { policy, stdioPorts }: Pick<Services, 'policy' | 'stdioPorts'>,
  listener: string,
  ports: RequestedPorts,
  work: (stdio: PassedStdio | undefined) => Promise<T>,
): Promise<T> {
  const named = [ports.stdinPort, ports.stdoutPort, ports.stderrPort].filter((port) => port !== 0);
  if (named.length === 0) return work(undefined);
  const refused = whyRefused(policy, listener);
  if (refused !== undefined) {
    const message = `stdin_port, stdout_port and stderr_port need ${stdioMethods.join(', ')}, and ${refused}`;
    throw new TtrpcError(Code.PermissionDenied, message);
  }
  if (stdioPorts === undefined) {
    throw new TtrpcError(
      Code.FailedPrecondition,
      'stdio over ports needs the setting passfd_listener_port; without it send stdin_port, stdout_port and stderr_port as 0',
    );
  }
  // Another listener has other peers: with a port, one of them could take what this caller means to read or write.
  if (listener !== stdioPorts.listener) {
    const message = `stdin_port, stdout_port and stderr_port are for calls on the listener ${JSON.stringify(stdioPorts.listener)}, whose peers connect to the ports`;
    throw new TtrpcError(Code.PermissionDenied, message);
  }
  if (new Set(named).size < named.length)
    throw new TtrpcError(Code.InvalidArgument, 'two of stdin_port, stdout_port and stderr_port are the same');
  const stdio = await take(stdioPorts, ports, () => whyRefused(policy, listener) === undefined);
  try {
    return await work(stdio);
  } catch (error) {
    closePassed(stdio);
    throw error;
  }
}

async function take(
  source: StdioPorts,
  ports: RequestedPorts,
  admitted: () => boolean,
): Promise<PassedStdio> {
  const take = async (port: number) => (port === 0 ? undefined : await source.take(port));
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

/** Rules see each call of a method; data over a port makes no calls. */
function whyNot(policy: Policy, listener: string, method: string): string | undefined {
  if (policy.decide(listener, method).outcome === 'deny') return `${method} is not served here`;
  return policy.readsRequests(method) ? `a rule applies to ${method}, which a port would bypass` : undefined;
}
