import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { DataHub } from './data-hub.js';
import { refuseSwap } from './refuse-swap.js';
import type { SecretPermits } from './secret-permits.js';

/**
 * Returns the environment with the plain text of its sealed secrets, where that is allowed; the others stay text. Kata's agent starts
 * the container all the same if one cannot be unsealed; here that is an error.
 *
 * @throws GuestError `refused`: a variable that the configuration has a secret for is another text.
 */
export async function unsealEnvironment(
  env: readonly string[],
  hub: DataHub,
  {
    permits,
    proc,
    signal,
  }: {
    readonly permits: Pick<SecretPermits, 'ofVariable'>;
    readonly proc: string;
    readonly signal: AbortSignal | undefined;
  },
): Promise<readonly string[]> {
  const unsealed: string[] = [];
  for (const entry of env) {
    const at = entry.indexOf('=');
    const value = entry.slice(at + 1);
    const name = entry.slice(0, Math.max(at, 0));
    const sealed = Buffer.from(value);
    const permit = at >= 0 ? permits.ofVariable(name) : undefined;
    if (permit?.(sealed, `the variable ${quotedWord(name)}`) !== true) {
      unsealed.push(entry);
      continue;
    }
    refuseSwap(proc);
    unsealed.push(`${name}=${textOf(name, await hub.unsealSecret(sealed, signal))}`);
  }
  return unsealed;
}

function textOf(name: string, plain: Uint8Array): string {
  const what = `the sealed secret in the variable ${quotedWord(name)}`;
  if (plain.includes(0)) throw new GuestError('invalid', `${what} has a byte 0; help: mount it as a file`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
  } catch (error) {
    // The cause would have nothing of the secret, and says nothing either.
    if (error instanceof TypeError)
      throw new GuestError('invalid', `${what} is not UTF-8; help: mount it as a file`);
    throw error;
  }
}
