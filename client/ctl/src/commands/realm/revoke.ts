import { type CommandDefinition, CommandError, ExitCode, print } from '@kata-agent/cli';
import { revocationForm, revocationOf, revokedText } from '../revocation.js';
import { guestPath, jsonOfRealm, realmAddressOf } from './with-realm.js';

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
