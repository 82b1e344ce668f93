import type { Operator } from '../authorization/operator-rights.js';
import { type RemoteConnect, type RemoteHandlers, RemoteRefusedError } from '../bus/bus.js';
import type { GuestConnections } from '../guests/guest-connections.js';
import type { LiveGuests } from '../guests/live-guests.js';
import { verifyOperatorChain } from '../listener/operator-chain.js';
import type { RemoteOperator, RemoteUse } from '../operators/operator-context.js';
import type { OperatorHandler } from '../operators/operator-service.js';
import type { DecisionLog } from '../operators/decision-log.js';
import type { ReadFiles } from './read-files.js';

interface Parts {
  readonly guests: LiveGuests;
  readonly connections: GuestConnections;
  readonly operators: OperatorHandler['remote'];
  readonly decisions: DecisionLog;
  /** Returns the files that count now. */
  readonly files: () => ReadFiles;
}

/** Returns what this replica does for others: it decides again, by its own files. */
export function remoteHandlers({ guests, connections, operators, decisions, files }: Parts): RemoteHandlers {
  const operatorOf = (certificates: readonly Buffer[]): RemoteOperator => {
    const certificate = verifyOperatorChain(certificates, files().operatorCa, Date.now());
    if (typeof certificate === 'string') {
      decisions.refuse('operators', 'another replica', 'KA3302', certificate);
      throw new RemoteRefusedError({ status: 403, code: 'unknown_operator', message: certificate });
    }
    const { notAfter } = certificate;
    const source = (): Operator | undefined =>
      Date.now() < notAfter && !files().operatorCa.revokes(certificate)
        ? files().authorization.operator(certificate)
        : undefined;
    return { source, certificates, notAfter };
  };
  const useOf = ({ guest: id, certificates }: RemoteConnect): RemoteUse => {
    const guest = guests.own(id);
    if (guest === undefined) throw new Error('the guest has left');
    return { guest, ...operatorOf(certificates) };
  };
  return {
    connect: async (request, pipe) => operators.serve(useOf(request), pipe),
    revoke: (request, revoked) => operators.revoke(useOf(request), revoked),
    joined: (guest, certificates, ends) => {
      try {
        operators.joined(guest, operatorOf(certificates), ends);
      } catch (error) {
        ends.pipe.destroy(error as Error);
        ends.stream.destroy();
      }
    },
    revoked: (revocation) => connections.say(revocation),
  };
}
