import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/** Node.js compares a certificate with this name if it is given none. */
const nameOfNone = 'localhost';

/**
 * Returns how the certificate of a server of NATS is compared with what `--bus` names. The client gives TLS no name for an IP
 * address, so that any certificate of `localhost` would be accepted for it, and none of the address. Which of several addresses
 * was dialled is not known there: a certificate of one of them is accepted.
 */
export function serverIdentity(
  hosts: readonly string[],
): (name: string, certificate: PeerCertificate) => Error | undefined {
  return (name, certificate) => {
    const addresses = hosts.filter((host) => isIP(host) !== 0);
    const expected =
      name === nameOfNone
        ? [...addresses, ...(hosts.includes(nameOfNone) ? [nameOfNone] : [])]
        : [name].filter((each) => hosts.includes(each));
    const errors = expected.map((each) => checkServerIdentity(each, certificate));
    if (errors.includes(undefined)) return undefined;
    return errors[0] ?? new Error(`--bus does not name ${name}`);
  };
}
