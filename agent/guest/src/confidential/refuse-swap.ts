import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../guest-error.js';

/**
 * Refuses to have a secret in memory that can be written to a disk of the host.
 *
 * @param undone what is refused, for the error
 */
export function refuseSwap(proc: string, undone = 'a sealed secret is not unsealed'): void {
  const [, first] = readFileSync(join(proc, 'swaps'), 'utf8').split('\n');
  if (first === undefined || first === '') return;
  throw new GuestError(
    'precondition',
    `${undone}: the guest has swap space at ${first.split(/\s/)[0]}, which the host can read; help: do not serve AddSwap`,
  );
}
