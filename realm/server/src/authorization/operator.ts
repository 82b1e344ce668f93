import type { OperatorVerb } from '@kata-agent/catalogue';
import type { Guest } from '../guest.js';

/** A client that some `[[operator]]` entry names, with the sum of what its entries allow. */
export interface Operator {
  /** The entry of `peers` that its certificate matches: `uri:spiffe://example/ops/alice`, as the certificate says it. */
  readonly name: string;
  /** Reports whether the operator may do this with the guest. */
  may(verb: OperatorVerb, guest: Pick<Guest, 'name'>): boolean;
  /**
   * Reports whether the realm may make this call to a guest for the operator: with `relay = "trusted"`.
   *
   * @param method of AgentService or of the management service: `ExecProcess`.
   */
  mayCall(method: string, guest: Pick<Guest, 'name'>): boolean;
}
