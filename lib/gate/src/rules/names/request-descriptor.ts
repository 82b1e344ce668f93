import type { DescMessage } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';

const inputs: ReadonlyMap<string, DescMessage> = new Map(
  AgentService.methods.map(({ name, input }) => [name, input]),
);

/** Returns the descriptor of a method's request message. */
export function requestDescriptor(method: MethodName): DescMessage {
  const input = inputs.get(method);
  if (input === undefined) throw new TypeError(`the service declares no ${method}`);
  return input;
}
