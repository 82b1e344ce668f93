import type { Message } from '@bufbuild/protobuf';
import type { Configuration, ListenerSettings } from '@kata-agent/config';
import { authorizerOf, type Decision, type RuleContext } from '@kata-agent/gate';
import type { RuleBook } from '@kata-agent/gate/rules';

/** Decides on requests as an agent would, without a guest: the rule context is an argument of each call. */
export interface OfflineAuthorizer {
  readonly listeners: readonly ListenerSettings[];
  decide(method: string, request: Message, context: RuleContext): Decision;
}

/**
 * Creates the authorizer of a configuration. `rules` are its rules; without them only the lists and the agent's own
 * checks decide.
 */
export function offlineAuthorizer(configuration: Configuration, rules?: RuleBook): OfflineAuthorizer {
  const authorizer = authorizerOf(configuration, rules === undefined ? {} : { rules });
  return {
    listeners: configuration.listeners,
    decide: (method, request, context) =>
      authorizer.authorize(context.listener, method, request, () => context),
  };
}
