import { type CommandDefinition, CommandError, ExitCode, type Invocation } from '@kata-agent/cli';

/** The names of a revocation; those that are not given are empty. */
export interface RevocationNames {
  readonly peer: string;
  readonly serial: string;
  readonly issuer: string;
}

/** Operand and options of the commands that revoke. */
export const revocationForm: Required<Pick<CommandDefinition, 'operands' | 'options'>> = {
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

/** Returns what to revoke. Throws a CommandError unless it is one of both forms. */
export function revocationOf({ operands, options }: Invocation): RevocationNames {
  const peer = operands[0] ?? '';
  const serial = options.text('serial') ?? '';
  const issuer = options.text('issuer') ?? '';
  if ((peer === '') === (serial === '') || (serial === '') !== (issuer === ''))
    throw new CommandError(ExitCode.Usage, 'name either a peer, or --serial and --issuer of a certificate');
  return { peer, serial, issuer };
}

/** Returns the text of a result. */
export function revokedText(closed: number): string {
  return `revoked; ${closed} ${closed === 1 ? 'connection' : 'connections'} closed\n`;
}
