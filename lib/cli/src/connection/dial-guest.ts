import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { CommandError, ExitCode } from '../command/command-error.js';
import { formatAddress, type RealmAddress } from './address.js';
import { dialTls, wrongAgent } from './dial-tls.js';
import type { AcceptedRelay, RealmCredentials } from './tls-credentials.js';
import { connectRealm } from './connect-realm.js';
import { askRealm } from './realm-request.js';

/**
 * Connects to a guest through a realm. With `operator-tls` it speaks TLS to the guest itself, and believes it by its pin; the
 * realm is trusted only if `relay` says so. Rejects with the system's error or a CommandError; nothing was sent to the guest
 * then.
 */
export async function dialGuest(
  address: RealmAddress,
  credentials: RealmCredentials,
  relay: AcceptedRelay,
  leave: AbortSignal,
): Promise<TLSSocket> {
  const { guest } = address;
  if (guest === undefined)
    throw new CommandError(ExitCode.Usage, `address '${formatAddress(address)}': the guest is missing`, {
      help: ['append /GUEST: its name or its ID; kata-agent-ctl realm guests lists them'],
    });
  const socket = await connectRealm(address, credentials, leave);
  // Also of errors after this connection was handed on.
  socket.on('error', () => undefined);
  try {
    const { message, head } = await askRealm(socket, address, {
      method: 'GET',
      path: `/guests/${guest}`,
      upgrade: 'kata-agent-ttrpc/1',
    });
    checkRelay(address, message, relay);
    if (relay.kind === 'trusted') {
      if (head.length > 0) socket.unshift(head);
      return socket;
    }
    // The guest is a server of TLS: it is silent until this client has spoken.
    if (head.length > 0 || socket.readableLength > 0)
      throw new Error('the realm sent bytes that do not come from the guest');
    return await dialTls({ socket }, address, { ...credentials, pin: relay.pin }, leave);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Checks that the realm offers the requested kind of relay. Throws a CommandError. */
function checkRelay(address: RealmAddress, { headers }: IncomingMessage, accepted: AcceptedRelay): void {
  const offered = headers['kata-agent-relay'];
  const id = headers['kata-agent-guest'];
  const where = formatAddress(address);
  if (
    (offered !== 'operator-tls' && offered !== 'trusted') ||
    typeof id !== 'string' ||
    !/^[0-9a-f]{64}$/.test(id)
  )
    throw new CommandError(
      ExitCode.CannotApply,
      `the realm at ${where} did not name the guest and the kind of relay`,
      {
        help: ['use a kata-agent-ctl of the same version as the realm'],
      },
    );
  if (offered === 'trusted' && accepted.kind === 'operator-tls')
    throw new CommandError(
      ExitCode.CannotApply,
      `${where}: the realm would make the calls itself (relay = "trusted"), and --pin cannot be checked`,
      {
        help: [
          'nothing was sent to the guest; to trust the realm instead, pass --relay trusted without --pin,',
          '  or set relay = "operator-tls" in the [[listener]] of the guest',
        ],
      },
    );
  if (offered === 'operator-tls' && accepted.kind === 'trusted')
    throw new CommandError(
      ExitCode.CannotApply,
      `${where}: the guest answers itself (relay = "operator-tls"), and does not need --relay trusted`,
      { help: [`remove --relay trusted, and pass --pin spki:sha256:${id}, if that is the guest's key`] },
    );
  // Unverified, for a better error: the key itself is compared in the handshake.
  if (accepted.kind === 'operator-tls' && accepted.pin !== undefined && accepted.pin !== id)
    throw wrongAgent(address, id, accepted.pin);
  if (address.guest?.length === 64 && address.guest !== id && /^[0-9a-f]*$/.test(address.guest))
    throw new CommandError(ExitCode.CannotApply, `${where}: the realm connects to another guest, ${id}`, {
      help: ['nothing was sent to it'],
    });
}
