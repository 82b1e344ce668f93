import { isMessage, type Message } from '@bufbuild/protobuf';
import { guestPull } from '@kata-agent/catalogue/request-features';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';

/** Reports whether a request creates a container whose root the guest gets itself: it pulls it, or has it. */
export function asksForPull(request: Message): boolean {
  return (
    isMessage(request, CreateContainerRequestSchema) &&
    request.storages.some(({ driver }) => driver === guestPull)
  );
}
