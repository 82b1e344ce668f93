import type { DescMessage } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';

/** The message that a method is called with. */
export function requestSchema(method: MethodName): DescMessage {
  const found = AgentService.methods.find(({ name }) => name === method);
  if (found === undefined) throw new Error(`the service has no method ${method}`);
  return found.input;
}
