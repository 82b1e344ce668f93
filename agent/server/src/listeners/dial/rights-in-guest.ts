import { managementOf, operatorVerbTable } from '@kata-agent/catalogue';
import type { OperatorGrant } from '@kata-agent/config';
import { type Certificate, grantsPeer, parsePeerEntries } from '@kata-agent/x509';
import type { OperatorRights } from '../../caller.js';

/** Operators of a listener without `operators`: no method of the management service. */
const withoutGrants: OperatorRights = { agent: true, management: new Set() };

/** Returns a function from a certificate to the rights of its operator: the union of the grants that name it. */
export function operatorRights(
  grants: readonly OperatorGrant[] | undefined,
): (certificate: Certificate) => OperatorRights {
  if (grants === undefined) return () => withoutGrants;
  const parsed = grants.map(({ peers, verbs }) => ({ peers: parsePeerEntries(peers), verbs }));
  return (certificate) => {
    const verbs = parsed
      .filter(({ peers }) => peers.some((peer) => grantsPeer(peer, certificate)))
      .flatMap((grant) => grant.verbs);
    return {
      agent: verbs.some((verb) => operatorVerbTable[verb].opensAgent),
      management: new Set(managementOf(verbs)),
    };
  };
}
