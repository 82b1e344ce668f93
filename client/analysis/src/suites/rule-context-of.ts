import type { ListenerSettings } from '@kata-agent/config';
import type { RuleContainer, RulePeer, RuleContext } from '@kata-agent/gate';
import { claimsOf } from './claims-of.js';
import type { TestCase } from './test-suite.js';

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
