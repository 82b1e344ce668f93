import { isMessage, type Message } from '@bufbuild/protobuf';
import { claimedImage, type RuleContainer, type RuleMember, type RuleContext } from '@kata-agent/gate';
import type { Guest, MemberStatus } from '@kata-agent/guest';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Caller } from '../caller.js';

/** The guest's state for rules. */
export type GuestStatus = Pick<Guest, 'containerStatus' | 'sandboxStatus'>;

/** Returns the rule context besides the request: the peer, and the subject of the call. */
export function ruleContext(
  request: Message,
  { listener, identity }: Pick<Caller, 'listener' | 'identity'>,
  guest: GuestStatus,
): RuleContext {
  const container = containerOf(request, guest);
  const { id, containers, members } = guest.sandboxStatus;
  const sandbox = { id, containers, members: members.map(member) };
  const context = { listener, peer: identity, sandbox };
  return container === undefined ? context : { ...context, container };
}

/** Returns the container that a request names. A container to be created is described by the request itself. */
function containerOf(request: Message, guest: GuestStatus): RuleContainer | undefined {
  if (isMessage(request, CreateContainerRequestSchema)) {
    return described(request.containerId, 'none', request.OCI?.Annotations ?? {});
  }
  if (!namesContainer(request)) return undefined;
  const id = request.containerId;
  const facts = guest.containerStatus(id);
  return described(id, facts?.state ?? 'none', facts?.annotations ?? {});
}

/** Both come from the host, so they are below `claimed` (S27). */
function described(
  id: string,
  state: RuleContainer['state'],
  annotations: Readonly<Record<string, string>>,
): RuleContainer {
  return { id, state, claimed: { image: claimedImage(annotations), annotations } };
}

function member({ name, state, exitCode, mounts }: MemberStatus): RuleMember {
  return { name, state, mounts, ...(exitCode === undefined ? {} : { exitCode }) };
}

function namesContainer(request: Message): request is Message & { readonly containerId: string } {
  return 'containerId' in request;
}
