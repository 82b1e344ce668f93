import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../error/guest-error.js';

/** Refuses to unseal secrets while memory can be written to a disk of the host. */
export function refuseSwap(proc: string): void {
  const [, first] = readFileSync(join(proc, 'swaps'), 'utf8').split('\n');
  if (first === undefined || first === '') return;
  throw new GuestError(
    'precondition',
    `a sealed secret is not unsealed: the guest has swap space at ${first.split(/\s/)[0]}, which the host can read; help: do not serve AddSwap`,
  );
}
