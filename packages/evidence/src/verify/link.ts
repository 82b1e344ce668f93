import { EvidenceFormError } from '../evidence-error.js';

/** One step of a verification. */
export interface Link {
  /** `tpm.signature`, `claims.nonce`: stable, since a values file waives links by name. */
  readonly name: string;
  readonly state: 'ok' | 'failed' | 'not checked';
  /** What was found, in words. */
  readonly what: string;
}

export function ok(name: string, what: string): Link {
  return { name, state: 'ok', what };
}

export function failed(name: string, what: string): Link {
  return { name, state: 'failed', what };
}

export function notChecked(name: string, what: string): Link {
  return { name, state: 'not checked', what };
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
