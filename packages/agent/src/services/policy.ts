import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';

/** SetPolicy can only narrow what is served (S4). Output that nobody may read any more is drained from now on (R15). */
export const setPolicy: Handler<'setPolicy'> = async ({ guest, policy }, request) => {
  const refused = await policy.tighten(request.policy);
  if (refused !== undefined) throw new TtrpcError(Code.InvalidArgument, refused);
  guest.reconsiderOutput();
  return {};
};
