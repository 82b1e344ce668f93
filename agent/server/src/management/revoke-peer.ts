import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RevokePeerRequest, RevokePeerResponseSchema } from '@kata-agent/protocol/management';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { canonicalName, NameSyntaxError, PeerEntryError, parsePeerEntry } from '@kata-agent/x509';
import { type Caller, callerKey } from '../caller.js';
import type { Revocation, Revoker } from '../listeners/tls/revocations.js';
import type { ManagementContext } from './management-context.js';

/**
 * Revokes a peer on all `tls://` and `https://` listeners until the next boot. Servers that the agent dials, and witnesses, are not
 * revoked by anybody (S44). A server repeats what it was told before other guests or certificates: what it says takes effect for
 * others, also if it names its own.
 *
 * @throws TtrpcError INVALID_ARGUMENT for a request that names no certificate, or that of a server, FAILED_PRECONDITION without such a
 * listener, RESOURCE_EXHAUSTED with too many revocations.
 */
export function revokePeer(
  { revocations }: Pick<ManagementContext, 'revocations'>,
  request: Pick<RevokePeerRequest, 'peer' | 'serial' | 'issuer'>,
  caller: Pick<Caller, 'listener' | 'identity' | 'realm'>,
): MessageInitShape<typeof RevokePeerResponseSchema> {
  const revocation = revocationOf(request);
  if (revocations === undefined)
    throw new TtrpcError(
      Code.FailedPrecondition,
      'there is no tls:// or https:// listener, and no certificate to revoke',
    );
  const server = caller.realm === undefined ? revocations.serverNamed(revocation) : undefined;
  if (server !== undefined)
    throw wrong(
      `this names the server that the listener ${JSON.stringify(server)} dials, which is not revoked: name other certificates; a server is replaced in the configuration`,
    );
  return { closed: revocations.add(revocation, revokerOf(caller)) };
}

/** A server that is trusted revokes for its operators, too: they have places as others have. */
function revokerOf(caller: Pick<Caller, 'listener' | 'identity' | 'realm'>): Revoker {
  const { claimedOperator } = caller.identity;
  const key = `${caller.listener} ${callerKey(caller)}`;
  return claimedOperator === undefined
    ? { key, isServer: caller.realm !== undefined }
    : { key: `${key} ${claimedOperator}`, isServer: false };
}

/** Characters of a name: those of a certificate that has more are refused, so that none is revoked by more. */
const longest = 4096;

function revocationOf({
  peer,
  serial,
  issuer,
}: Pick<RevokePeerRequest, 'peer' | 'serial' | 'issuer'>): Revocation {
  if (Math.max(peer.length, serial.length, issuer.length) > longest)
    throw wrong(`a name has more than ${longest} characters, and no certificate that is accepted has`);
  const named = peer !== '';
  if (named === (serial !== '') || (serial !== '') !== (issuer !== ''))
    throw wrong('name either a peer, or both the serial number and the issuer of a certificate');
  try {
    if (!named) {
      if (!/^[0-9A-Fa-f]{1,64}$/.test(serial)) throw wrong(`serial '${serial}' is not a number in hex`);
      return { kind: 'serial', serial, issuer: canonicalName(issuer) };
    }
    const entry = parsePeerEntry(peer);
    if (entry.kind === 'any') throw wrong('"*" would revoke every peer: name one');
    return { kind: 'entry', entry };
  } catch (error) {
    if (error instanceof PeerEntryError) throw wrong(`${error.message}; ${error.help}`, error);
    if (error instanceof NameSyntaxError) throw wrong(`issuer '${issuer}': ${error.message}`, error);
    throw error;
  }
}

function wrong(message: string, cause?: Error): TtrpcError {
  return new TtrpcError(Code.InvalidArgument, message, { cause });
}
