import type { DescMethodUnary } from '@bufbuild/protobuf';
import { nearest } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';

/**
 * Every call that an agent may serve, by the name that people type: the methods of `grpc.AgentService` by their own
 * name, those of `grpc.Health` as `Health.Check` and `Health.Version`.
 */
export const calls: ReadonlyMap<string, DescMethodUnary> = new Map<string, DescMethodUnary>([
  ...Object.values(AgentService.method).map((method) => [method.name, method] as const),
  ...Object.values(Health.method).map((method) => [`Health.${method.name}`, method] as const),
]);

/** The method of a typed name. Throws a CommandError (wrong use) that proposes the nearest name. */
export function findCall(name: string): DescMethodUnary {
  const method = calls.get(name);
  if (method !== undefined) return method;
  const guess = nearest(name.replace(/Request$/i, ''), [...calls.keys()]);
  const proposal = guess === undefined ? [] : [`Did you mean ${guess}?`];
  throw new CommandError(ExitCode.Usage, `no method is called '${name}'`, {
    help: [...proposal, 'All methods: kata-agent-ctl endpoints'],
  });
}
