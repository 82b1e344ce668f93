import type { AskRealm } from '@kata-agent/realm';
import {
  type Address,
  askRealm,
  CommandError,
  connectRealm,
  ExitCode,
  formatAddress,
  linesOfBody,
  type Options,
  realmItself,
  within,
} from '@kata-agent/cli';

/**
 * Returns a function that asks a realm for the records of a guest that it has stored. Certificates are read again for each request:
 * they are replaced while the program runs. Throws a CommandError if the address has no guest of a realm, or for wrong options.
 */
export async function askForStored(
  address: Address,
  timeoutMs: number,
  options: Pick<Options, 'text'>,
): Promise<AskRealm> {
  if (address.kind !== 'realm' || address.guest === undefined)
    throw new CommandError(
      ExitCode.Usage,
      `address '${formatAddress(address)}': a realm has records of its guests only`,
      { help: ['use realm://HOST[:PORT]/GUEST, or leave --records realm out'] },
    );
  const path = `/v1/guests/${address.guest}/audit`;
  await realmItself(options);
  return async (from, signal) => {
    const credentials = await realmItself(options);
    const message = await within(timeoutMs, address, 'a realm', async (leave) => {
      const socket = await connectRealm(address, credentials, leave);
      const asked = { method: 'GET', path: `${path}?from=${from}&follow=true` } as const;
      return (await askRealm(socket, address, asked)).message;
    });
    const leave = (): void => void message.destroy();
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    const guest = message.headers['kata-agent-guest'];
    return {
      guest: typeof guest === 'string' && /^[0-9a-f]{64}$/.test(guest) ? guest : undefined,
      records: linesOfBody(message),
    };
  };
}
