import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { tighten } from '../tighten.js';
import type { Handler } from './handler.js';

/**
 * SetPolicy can only narrow what is served (S4), now and for an agent that comes after this one in this boot. Output that
 * nobody may read any more is drained from now on (R15).
 */
export const setPolicy: Handler<'setPolicy'> = async ({ guest, policy, keptPolicies }, request) => {
  if (keptPolicies.full)
    throw new TtrpcError(Code.ResourceExhausted, 'SetPolicy came too often: no more policies can be kept');
  const refused = await tighten(policy, request.policy);
  if (refused !== undefined) throw new TtrpcError(Code.InvalidArgument, refused);
  guest.reconsiderOutput();
  keptPolicies.keep(request.policy);
  return {};
};
