import type { ImageProgram } from '@kata-agent/catalogue';
import type { RuleImage } from '@kata-agent/gate';
import type { PulledImage } from '@kata-agent/guest';
import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { HandlerContext } from '@kata-agent/ttrpc';
import { callerOf } from '../caller/caller-of.js';
import { refusedInTurn } from '../interceptors/refused-in-turn.js';
import type { Caller } from '../caller/caller.js';
import type { Services } from './handler.js';
import { ruleContext } from '../policy/rule-context.js';

/** A root that the guest has got itself. */
interface OwnRoot {
  /** Undefined: the pause container of the guest image. */
  readonly image: PulledImage | undefined;
  /** Reads what the root has of the program that the request starts. */
  readonly program: () => ImageProgram | undefined;
}

/**
 * Decides again about a container when the guest has its root, and rules can see its image. All rules are evaluated: those without
 * the image may have become stricter during a pull.
 *
 * @throws GuestError `refused` or `unimplemented`
 */
export function authorizeRoot(
  { image, program }: OwnRoot,
  { policy, guest }: Pick<Services, 'policy' | 'guest'>,
  request: CreateContainerRequest,
  context: HandlerContext<Caller>,
): void {
  const { listener } = context.connection;
  // As at the call itself, the container does not exist yet: rules such as "a name once" would find it.
  const status = {
    containerStatus: (id: string) => guest.containerStatus(id),
    sandboxStatus: guest.sandboxStatusWithout(request.containerId),
  };
  const decision = policy.authorize(listener, context.method, request, () => ({
    ...ruleContext(request, callerOf(context), status),
    image: image === undefined ? { from: 'pause_bundle' } : pulledImage(image, program),
  }));
  if (decision.outcome === 'deny') throw refusedInTurn(decision);
}

/** Its program is read once, and only if a rule compares it. */
function pulledImage(image: PulledImage, read: OwnRoot['program']): RuleImage {
  let program: { readonly found: ImageProgram | undefined } | undefined;
  return {
    from: 'pulled',
    ...image,
    get program() {
      program ??= { found: read() };
      return program.found;
    },
  };
}
