import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';

/** SetPolicy can only narrow what is served (S4). */
export const setPolicy: Handler<'setPolicy'> = async ({ policy }, request) => {
  const refused = await policy.tighten(request.policy);
  if (refused !== undefined) throw new TtrpcError(Code.InvalidArgument, refused);
  return {};
};
