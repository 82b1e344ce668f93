import { EvidenceFormError } from '../evidence-error.js';
import { failed, type Link } from '../link.js';

/** Returns the link that `check` returns, or a failed one for an EvidenceFormError that it throws. */
export function attempt(name: string, check: () => Link): Link {
  try {
    return check();
  } catch (error) {
    if (error instanceof EvidenceFormError) return failed(name, error.message);
    throw error;
  }
}
