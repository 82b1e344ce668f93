import { Management, RevokePeerResponseSchema } from '@kata-agent/protocol/management';
import { messageToJson } from '../calls/json.js';
import type { CommandDefinition } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import { withAgent } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { print } from '../output/print.js';

export const revoke: CommandDefinition = {
  path: 'revoke',
  summary: 'revoke a peer of an agent’s TLS listeners, until its next boot',
  details: [
    'Calls Management.RevokePeer, on a listener whose management names it. Open connections of the peer are closed, this one too. Nothing takes it back but a boot, after which it must be repeated. For good, remove the peer from the configuration or add the certificate to client_crl.',
  ],
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
  examples: [
    {
      line: 'kata-agent-ctl revoke uri:spiffe://example/ops/mallory -a unix:///run/agent.sock',
      description: 'Revokes an operator in this guest.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { operands, options } = invocation;
    const peer = operands[0] ?? '';
    const serial = options.text('serial') ?? '';
    const issuer = options.text('issuer') ?? '';
    if ((peer === '') === (serial === '') || (serial === '') !== (issuer === ''))
      throw new CommandError(ExitCode.Usage, 'name either a peer, or --serial and --issuer of a certificate');
    const reply = await withAgent(invocation, (agent) =>
      agent.call(Management.method.revokePeer, { peer, serial, issuer }),
    );
    const { closed } = reply;
    await print(
      invocation,
      messageToJson(RevokePeerResponseSchema, reply),
      () => `revoked; ${closed} ${closed === 1 ? 'connection' : 'connections'} closed\n`,
    );
    return ExitCode.Success;
  },
};
