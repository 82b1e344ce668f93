// The calls of the shim as a file from which tests without Kata call an agent.
import { type DescMessage, isMessage, toJson } from '@bufbuild/protobuf';
import { AgentService, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import { isRepeated } from './remote-calls.js';
import type { RecordedCall } from './forwarder.js';

const inputs = new Map<string, DescMessage>(AgentService.methods.map(({ name, input }) => [name, input]));

/**
 * Returns calls in JSON: without the repeated ones, and of the commands that were executed only the first. `replaced`: texts of this run
 * that others replace.
 */
export function recordingOf(
  calls: readonly RecordedCall[],
  replaced: readonly (readonly [text: string, by: string])[],
): string {
  const firstExec = calls.find(({ request }) => isMessage(request, ExecProcessRequestSchema));
  const recorded = calls.flatMap((call) => {
    const { method, request } = call;
    const input = inputs.get(method);
    if (input === undefined || isRepeated(method)) return [];
    if (isMessage(request, ExecProcessRequestSchema) && call !== firstExec) return [];
    return [{ method, request: toJson(input, request) }];
  });
  return replaced.reduce(
    (text, [value, by]) => text.replaceAll(value, by),
    `${JSON.stringify(recorded, null, 1)}\n`,
  );
}
