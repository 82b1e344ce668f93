import { Management, RevokePeerResponseSchema } from '@kata-agent/protocol/management';
import { messageToJson } from '../calls/json.js';
import { type CommandDefinition, ExitCode, print, withAgent } from '@kata-agent/cli';
import { revocationForm, revocationOf, revokedText } from './revocation.js';

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
