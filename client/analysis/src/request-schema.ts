import type { DescMessage } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';

/** Returns the request message of a method. */
export function requestSchema(method: MethodName): DescMessage {
  const found = AgentService.methods.find(({ name }) => name === method);
  if (found === undefined) throw new Error(`unknown method ${method}`);
  return found.input;
}
