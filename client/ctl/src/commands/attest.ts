import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import {
  attestConnection,
  type CommandDefinition,
  CommandError,
  ExitCode,
  print,
  reasonOf,
  withConnection,
} from '@kata-agent/cli';
import { parseNonce } from './evidence/inputs.js';

export const attest: CommandDefinition = {
  path: 'attest',
  summary: 'ask an agent for evidence of what it runs, and write it to a file',
  details: [
    'Calls Management.Attest, on a listener whose management names it, with a nonce. The bundle binds nonce, configuration, keys and audit log, and the TLS connection of this call. It is not verified: evidence verify does that, and needs the nonce and the channel that are printed. To verify before anything else is sent, pass --attested to the other commands instead.',
  ],
  options: [
    { flags: '--nonce <hex>', description: '32 to 64 bytes; default: 32 random ones' },
    { flags: '--out <file>', description: 'where the bundle is written' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl attest -a unix:///run/agent.sock --out bundle.json',
      description: 'Writes the bundle, and prints its nonce and channel.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { options } = invocation;
    const out = options.text('out');
    if (out === undefined)
      throw new CommandError(ExitCode.Usage, 'no file for the bundle', { help: ['pass --out FILE'] });
    const given = options.text('nonce');
    const nonce = given === undefined ? new Uint8Array(randomBytes(32)) : parseNonce(given);
    const { bundle, channel, tlsSpki } = await withConnection(invocation, (connection) =>
      attestConnection(connection, nonce),
    );
    try {
      writeFileSync(out, bundle);
    } catch (error) {
      throw new CommandError(ExitCode.CannotApply, `cannot write ${out}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    const hex = Buffer.from(nonce).toString('hex');
    const pin = tlsSpki === undefined ? undefined : `spki:sha256:${tlsSpki}`;
    await print(invocation, { out, nonce: hex, channel, pin }, () =>
      [
        `nonce    ${hex}`,
        ...(channel === undefined ? [] : [`channel  ${channel}`]),
        ...(pin === undefined ? [] : [`pin      ${pin}`]),
        '',
      ].join('\n'),
    );
    return ExitCode.Success;
  },
};
