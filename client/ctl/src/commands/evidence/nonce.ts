import { CommandError, ExitCode } from '@kata-agent/cli';

/** Parses --nonce. Throws a CommandError. */
export function parseNonce(text: string): Uint8Array {
  if (/^(?:[0-9A-Fa-f]{2}){32,64}$/.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  throw new CommandError(ExitCode.Usage, `--nonce '${text}': must be 32 to 64 bytes in hex`, {
    help: ['for example the output of: openssl rand -hex 32'],
  });
}
