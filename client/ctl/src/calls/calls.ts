import type { DescMethodUnary } from '@bufbuild/protobuf';
import { nearest } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { CommandError, ExitCode } from '@kata-agent/cli';

/**
 * All methods that an agent can serve, by the name that users type: methods of `grpc.AgentService` by their own name,
 * those of `grpc.Health` as `Health.Check` and `Health.Version`.
 */
export const calls: ReadonlyMap<string, DescMethodUnary> = new Map<string, DescMethodUnary>([
  ...Object.values(AgentService.method).map((method) => [method.name, method] as const),
  ...Object.values(Health.method).map((method) => [`Health.${method.name}`, method] as const),
]);

/** Returns the method with this name. Throws a CommandError (wrong use) that suggests the nearest name. */
export function findCall(name: string): DescMethodUnary {
  const method = calls.get(name);
  if (method !== undefined) return method;
  const guess = nearest(name.replace(/Request$/i, ''), [...calls.keys()]);
  const proposal = guess === undefined ? [] : [`did you mean ${guess}?`];
  throw new CommandError(ExitCode.Usage, `unknown method '${name}'`, {
    help: [...proposal, 'list all methods: kata-agent-ctl endpoints'],
  });
}
