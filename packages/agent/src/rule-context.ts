import { isMessage, type Message } from '@bufbuild/protobuf';
import {
  claimedImage,
  claimedName,
  type ContainerFacts,
  type MemberFacts,
  type RuleContext,
} from '@kata-agent/gate';
import type { Guest, MemberFacts as GuestMember } from '@kata-agent/guest';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Caller } from './listeners/caller.js';

/** What of the guest rules can see. */
export type GuestFacts = Pick<Guest, 'containerFacts' | 'sandboxFacts'>;

/** What a rule sees beside the request: who calls, and what the call is about. */
export function ruleContext(
  request: Message,
  { listener, identity }: Pick<Caller, 'listener' | 'identity'>,
  guest: GuestFacts,
): RuleContext {
  const container = containerOf(request, guest);
  const { id, containers, members } = guest.sandboxFacts;
  const sandbox = { id, containers, members: members.map(member) };
  const context = { listener, peer: identity, sandbox };
  return container === undefined ? context : { ...context, container };
}

/** The container that a request names. One that is to be made is described by the request itself. */
function containerOf(request: Message, guest: GuestFacts): ContainerFacts | undefined {
  if (isMessage(request, CreateContainerRequestSchema)) {
    return described(request.containerId, 'none', request.OCI?.Annotations ?? {});
  }
  if (!namesContainer(request)) return undefined;
  const id = request.containerId;
  const facts = guest.containerFacts(id);
  return described(id, facts?.state ?? 'none', facts?.annotations ?? {});
}

/** Both are the host's word, so they stand under `claimed` (S27). */
function described(
  id: string,
  state: ContainerFacts['state'],
  annotations: Readonly<Record<string, string>>,
): ContainerFacts {
  return { id, state, claimed: { image: claimedImage(annotations), annotations } };
}

function member({ annotations, state, exitCode }: GuestMember): MemberFacts {
  const name = claimedName(annotations);
  return { name, state, ...(exitCode === undefined ? {} : { exitCode }) };
}

function namesContainer(request: Message): request is Message & { readonly containerId: string } {
  return 'containerId' in request;
}
