import type { Relay } from '@kata-agent/protocol/relay';
import { Code, type ServiceImplementation, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from './caller.js';
import { DialFailure } from './listeners/dial/dial-failure.js';

const tokenBytes = 32;
const maxOperatorBytes = 64;

/** The service by which a server asks for the connections of its operators. The gate has decided before a handler runs. */
export const relay: ServiceImplementation<typeof Relay, Caller> = {
  openConnection: async ({ token, operator }, { connection: { realm }, signal }) => {
    if (realm?.relay !== 'operator-tls') throw new Error('OpenConnection is not served in this connection');
    if (token.length !== tokenBytes)
      throw new TtrpcError(
        Code.InvalidArgument,
        `the token has ${token.length} bytes: it must have ${tokenBytes}, random ones`,
      );
    if (operator.length > maxOperatorBytes)
      throw new TtrpcError(
        Code.InvalidArgument,
        `the operator has ${operator.length} bytes: at most ${maxOperatorBytes}`,
      );
    try {
      await realm.openConnection(token, operator, signal);
    } catch (error) {
      throw statusOf(error);
    }
    return {};
  },
};

function statusOf(error: unknown): unknown {
  if (error instanceof DialFailure)
    return new TtrpcError(Code.Unavailable, `the connection was not made: ${error.message}`, {
      cause: error,
    });
  return error;
}
