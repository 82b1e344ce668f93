import type { OperatorVerb } from '@kata-agent/catalogue';
import { codeName, TtrpcError } from '@kata-agent/ttrpc';
import { entryNames } from '../authorization/guest-acceptance.js';
import { type Operator, operatorNameFault } from '../authorization/operator-rights.js';
import { badRequest, HttpError, noSuchGuest } from '../http/http-answers.js';
import type { OperatorContext, OperatorSource, StoredGuest } from './operator-context.js';
import type { Revocation } from '../http/revocation.js';
import { RemoteRefusedError } from '../bus/bus.js';
import { TooManyRevocations } from '../store/revocations.js';

/** Decides what operators may do, and records it. Refusals are thrown as HttpErrors, after they have been recorded. */
export class OperatorChecks {
  readonly #decisions: OperatorContext['decisions'];
  readonly #isOwn: OperatorContext['isOwn'];

  constructor({ decisions, isOwn }: Pick<OperatorContext, 'decisions' | 'isOwn'>) {
    this.#decisions = decisions;
    this.#isOwn = isOwn;
  }

  /** Returns the operator of a connection. */
  operator(source: OperatorSource): Operator {
    const operator = source();
    if (operator === undefined)
      throw new HttpError(403, 'unknown_operator', 'no entry of the authorization names your certificate');
    return operator;
  }

  /** Returns the guest if the operator may do this with it. */
  guest<G extends StoredGuest>(
    operator: Operator,
    verb: OperatorVerb,
    name: string,
    guest: G | undefined,
  ): G {
    const deny = (reason: string): void => this.#record(operator, verb, guest, false, reason);
    if (guest === undefined || !operator.may('list', guest)) {
      deny(guest === undefined ? `there is no guest '${name}'` : 'the operator lacks the verb list');
      throw noSuchGuest(name);
    }
    if (!operator.may(verb, guest)) {
      deny(`the operator lacks the verb ${verb}`);
      throw new HttpError(403, 'denied', `you lack the verb ${verb} for guest '${guest.name}'`);
    }
    // It is sent to the others of the entry too.
    if (verb === 'revoke' && !operator.may('revoke', { name: entryNames(guest) })) {
      deny('the operator lacks the verb revoke for other guests of the entry');
      throw new HttpError(
        403,
        'denied',
        `a revocation counts for all guests of the entry of '${guest.name}', and you lack the verb revoke for others of them`,
      );
    }
    return guest;
  }

  /** Throws if a guest whose relay is trusted would refuse each call of the operator, by its name. */
  nameFor(guest: StoredGuest, operator: Operator): void {
    const fault = operatorNameFault(operator.name);
    if (fault === undefined) return;
    this.#record(operator, 'connect', guest, false, `the name of the operator ${fault}`);
    throw new HttpError(
      403,
      'denied',
      `the name that the realm has for you ${fault}, which guest '${guest.name}' refuses: its relay is trusted`,
    );
  }

  /** Throws if a revocation would cut off all guests. */
  revocation(revocation: Revocation): void {
    if (this.#isOwn(revocation))
      throw badRequest('the revocation names the realm: guests would never connect to it again');
  }

  /** Records what an operator does. */
  allowed(operator: Operator, verb: OperatorVerb, guest: StoredGuest, reason: string): void {
    this.#record(operator, verb, guest, true, reason);
  }

  /** Records what an operator could do before. */
  ended(operator: Operator, verb: OperatorVerb, guest: StoredGuest, reason: string): void {
    this.#record(operator, verb, guest, false, reason);
  }

  /** Returns the error for an operator that has `what` already. */
  tooMany(operator: Operator, verb: OperatorVerb, guest: StoredGuest, what: string): HttpError {
    this.#record(operator, verb, guest, false, `the operator has ${what}, which is the limit`);
    return new HttpError(429, 'too_many', `you have ${what}, which is the limit: close some`);
  }

  #record(
    { name }: Operator,
    verb: OperatorVerb,
    guest: StoredGuest | undefined,
    allowed: boolean,
    reason: string,
  ): void {
    this.#decisions.record({
      operator: name,
      verb,
      ...(guest === undefined ? {} : { guest: { id: guest.id, name: guest.name } }),
      allowed,
      reason,
    });
  }
}

/** Returns the answer for an error. One that is not meant for operators is reported, and its text stays here. */
export function httpErrorOf(error: unknown, report: OperatorContext['report']): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof RemoteRefusedError) {
    const { status, code, message } = error.refusal;
    return new HttpError(status, code, message);
  }
  if (error instanceof TooManyRevocations)
    return new HttpError(429, 'too_many', `${error.message}: ${error.help}`);
  if (error instanceof TtrpcError)
    return new HttpError(502, 'guest_error', `the guest answered ${codeName(error.code)}: ${error.message}`);
  report('a request of an operator failed', error);
  return new HttpError(500, 'internal', 'the realm failed; its log has the reason');
}
