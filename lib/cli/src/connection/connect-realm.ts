import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { CommandError, ExitCode } from '../command/command-error.js';
import { formatAddress, type RealmAddress } from './address.js';
import { abandon, clientContext, handshake, serverCertificate } from './tls-client.js';
import type { RealmCredentials } from './tls-credentials.js';

/** Probes of TCP begin after this time without traffic. */
const keepAliveMs = 30_000;

/**
 * Connects to a realm, and authenticates it by the CA, its name and the pin, all of them. Nothing has been sent when it
 * resolves. No option is left to defaults that the environment changes. Rejects with the system's error, or with a CommandError
 * if the realm is not accepted.
 */
export async function connectRealm(
  address: RealmAddress,
  credentials: RealmCredentials,
  leave: AbortSignal,
): Promise<TLSSocket> {
  const { host, port } = address;
  const options = {
    host,
    port,
    servername: isIP(host) === 0 ? host : '',
    secureContext: clientContext(credentials, credentials.ca),
    rejectUnauthorized: true,
    // Names are compared after the handshake: Node.js also believes common names.
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['http/1.1'],
    // What the guest still sends is read, when this end has ended.
    allowHalfOpen: true,
  };
  const socket = await handshake(options, leave).catch((error: NodeJS.ErrnoException) => {
    throw verificationFaults.has(error.code ?? '')
      ? notAccepted(address, `no CA of --realm-ca accepts its certificate (${error.code})`, error)
      : error;
  });
  try {
    await authenticate(socket, address, credentials);
    socket.setKeepAlive(true, keepAliveMs);
    socket.setNoDelay(true);
    return socket;
  } catch (error) {
    abandon(socket);
    throw error;
  }
}

async function authenticate(
  socket: TLSSocket,
  address: RealmAddress,
  { realmPin }: RealmCredentials,
): Promise<void> {
  if (!socket.authorized) throw notAccepted(address, 'no CA of --realm-ca accepts its certificate');
  const {
    der,
    parsed: { spki },
  } = await serverCertificate(socket);
  if (!hasName(der, address.host))
    throw notAccepted(address, `its certificate does not name ${address.host}`);
  if (realmPin !== undefined && spki !== realmPin)
    throw notAccepted(address, `its public key is spki:sha256:${spki}, and not that of --realm-pin`);
  if (socket.alpnProtocol !== false && socket.alpnProtocol !== 'http/1.1')
    throw notAccepted(address, 'it does not speak HTTP/1.1');
}

/** Reports whether a certificate has the name as an alternative name: a common name does not count. */
function hasName(bytes: Uint8Array, host: string): boolean {
  const certificate = new X509Certificate(bytes);
  return isIP(host) === 0
    ? certificate.checkHost(host, { subject: 'never', partialWildcards: false }) !== undefined
    : certificate.checkIP(host) !== undefined;
}

function notAccepted(address: RealmAddress, why: string, cause?: Error): CommandError {
  return new CommandError(
    ExitCode.CannotApply,
    `the server at ${formatAddress(address)} is not the expected realm: ${why}`,
    {
      help: ['nothing was sent to it; compare the host, --realm-ca and --realm-pin with those of your realm'],
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

/** Codes of OpenSSL for a chain that does not lead to a CA, or a certificate that is not valid now. */
const verificationFaults: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
