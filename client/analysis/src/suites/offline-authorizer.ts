import type { Message } from '@bufbuild/protobuf';
import type { Configuration, ListenerSettings } from '@kata-agent/config';
import {
  authorizerOf,
  claimedImage,
  type Decision,
  type RuleContainer,
  type RuleContext,
  type RulePeer,
} from '@kata-agent/gate';
import type { RuleBook } from '@kata-agent/gate/rules';
import type { TestCase } from './parse-suite.js';

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

/** Returns the rule context of a case, with defaults for what the case omits. */
export function ruleContextOf(
  {
    method,
    request,
    listener,
    peer,
    container,
    sandbox,
    image,
  }: Omit<TestCase, 'name' | 'span' | 'expect' | 'rule'>,
  listeners: readonly ListenerSettings[],
): RuleContext {
  const settings = listeners.find(({ name }) => name === listener) ?? listeners[0];
  const facts = containerFacts(method, request, container);
  return {
    listener: listener ?? settings?.name ?? '',
    peer: peer ?? hostOn(settings?.address ?? ''),
    ...(facts === undefined ? {} : { container: facts }),
    ...(image === undefined ? {} : { image }),
    sandbox: sandbox ?? {
      id: 'sandbox',
      containers: facts === undefined || facts.state === 'none' ? [] : [facts.id],
    },
  };
}

/** The host, as a listener sees it. */
function hostOn(address: string): RulePeer {
  return address.startsWith('vsock:') ? { kind: 'vsock', cid: 2 } : { kind: 'unix', uid: 0 };
}

function containerFacts(
  method: string,
  request: object,
  given: Partial<RuleContainer> | undefined,
): RuleContainer | undefined {
  const id = given?.id ?? ('containerId' in request ? String(request.containerId) : '');
  if (given === undefined && id === '') return undefined;
  const creates = method === 'CreateContainer';
  return {
    id,
    state: given?.state ?? (creates ? 'none' : 'running'),
    claimed: given?.claimed ?? (creates ? claimsOf(request) : { image: '', annotations: {} }),
  };
}

/** Returns the claims of a CreateContainerRequest about its container (S27); empty for other messages. */
export function claimsOf(request: object): RuleContainer['claimed'] {
  const { OCI } = request as { readonly OCI?: { readonly Annotations?: Readonly<Record<string, string>> } };
  const annotations = OCI?.Annotations ?? {};
  return { image: claimedImage(annotations), annotations };
}
