import { Management, RevokePeerResponseSchema } from '@kata-agent/protocol/management';
import { messageToJson } from '../calls.js';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  print,
  withAgent,
} from '@kata-agent/cli';
import { guestPath, jsonOfRealm, realmAddressOf } from './realm/with-realm.js';

/** Operand and options of the commands that revoke. */
const revocationForm: Required<Pick<CommandDefinition, 'operands' | 'options'>> = {
  operands: [
    {
      syntax: '[peer]',
      description:
        'an entry as in peers: uri:, dns:, cn:, subject: or spki:sha256:; each certificate with that name',
    },
  ],
  options: [
    { flags: '--serial <hex>', description: 'instead, one certificate: its serial number' },
    {
      flags: '--issuer <name>',
      description: 'and its issuer, as openssl x509 -issuer -nameopt RFC2253 prints it',
    },
  ],
};

export const revoke: CommandDefinition = {
  path: 'revoke',
  summary: 'revoke a peer of an agent’s TLS listeners, until its next boot',
  details: [
    'Calls Management.RevokePeer, on a listener whose management names it. Open connections of the peer are closed, this one too. It holds until the next boot, after which it must be repeated. For good, remove the peer from the configuration or add the certificate to client_crl.',
  ],
  ...revocationForm,
  examples: [
    {
      line: 'kata-agent-ctl revoke uri:spiffe://example/ops/mallory -a unix:///run/agent.sock',
      description: 'Revokes an operator in this guest.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const names = revocationOf(invocation);
    const reply = await withAgent(invocation, (agent) => agent.call(Management.method.revokePeer, names));
    await print(invocation, messageToJson(RevokePeerResponseSchema, reply), () => revokedText(reply.closed));
    return ExitCode.Success;
  },
};

export const realmRevoke: CommandDefinition = {
  path: 'realm revoke',
  summary: 'revoke a peer in a guest, also after each new connection of it',
  details: [
    'The realm calls Management.RevokePeer in the guest and the others of its [[guest]] entry now, and again after each new connection of one, before operators see it. The listener that dials the realm must name RevokePeer in management, and you need the verb revoke.',
  ],
  ...revocationForm,
  examples: [
    {
      line: 'kata-agent-ctl realm revoke uri:spiffe://example/ops/mallory -a realm://realm.example/web --cert me.pem --key me.key --realm-ca realm-ca.pem',
      description: 'Revokes an operator in the guest web.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { peer, serial, issuer } = revocationOf(invocation);
    const address = realmAddressOf(invocation);
    const answer = await jsonOfRealm(invocation, address, {
      method: 'POST',
      path: guestPath(address, '/revocations'),
      body: peer === '' ? { serial, issuer } : { peer },
    });
    const { closed } = (answer ?? {}) as { closed?: unknown };
    if (typeof closed !== 'number')
      throw new CommandError(ExitCode.CannotApply, 'the answer of the realm does not say what was revoked', {
        help: ['use a kata-agent-ctl of the same version as the realm'],
      });
    await print(invocation, answer, () => revokedText(closed));
    return ExitCode.Success;
  },
};

/** The names of a revocation; those that are not given are empty. */
interface RevocationNames {
  readonly peer: string;
  readonly serial: string;
  readonly issuer: string;
}

/** Returns what to revoke. Throws a CommandError unless it is one of both forms. */
function revocationOf({ operands, options }: Invocation): RevocationNames {
  const peer = operands[0] ?? '';
  const serial = options.text('serial') ?? '';
  const issuer = options.text('issuer') ?? '';
  if ((peer === '') === (serial === '') || (serial === '') !== (issuer === ''))
    throw new CommandError(ExitCode.Usage, 'name either a peer, or --serial and --issuer of a certificate');
  return { peer, serial, issuer };
}

/** Returns the text of a result. */
function revokedText(closed: number): string {
  return `revoked; ${closed} ${closed === 1 ? 'connection' : 'connections'} closed\n`;
}
