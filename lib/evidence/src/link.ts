import { EvidenceFormError } from './evidence-error.js';

export type LinkState = 'ok' | 'failed' | 'not checked';

/** One step of a verification. The set of names is fixed for each kind of evidence, so that one can be waived by name. */
export interface Link<Name extends string = string> {
  readonly name: Name;
  readonly state: LinkState;
  /** What was found, or why the link failed or could not be checked. */
  readonly what: string;
}

/** Returns a link that failed if there is a fault. */
export function checked<Name extends string>(
  name: Name,
  fault: string | undefined,
  what: string,
): Link<Name> {
  return fault === undefined ? { name, state: 'ok', what } : { name, state: 'failed', what: fault };
}

export function notChecked<Name extends string>(name: Name, what: string): Link<Name> {
  return { name, state: 'not checked', what };
}

export function ok<Name extends string>(name: Name, what: string): Link<Name> {
  return { name, state: 'ok', what };
}

export function failed<Name extends string>(name: Name, what: string): Link<Name> {
  return { name, state: 'failed', what };
}

/** Returns the link that `check` returns, or a failed one for an EvidenceFormError that it throws. */
export function attempt(name: string, check: () => Link): Link {
  try {
    return check();
  } catch (error) {
    if (error instanceof EvidenceFormError) return failed(name, error.message);
    throw error;
  }
}
