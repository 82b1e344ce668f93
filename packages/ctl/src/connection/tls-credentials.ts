import type { Options } from '../cli/options.js';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { readTextInput } from '../input/read-input.js';
import type { Address } from './address.js';

/** The client's end of a TLS connection. */
export interface TlsCredentials {
  /** PEM: the certificate, and those of intermediate CAs. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** The SHA-256 of the agent's public key, in hex. */
  readonly pin: string;
}

const remedies = {
  cert: 'pass --cert FILE: a PEM certificate of a CA in client_ca of the listener',
  key: 'pass --key FILE: the PEM private key of that certificate',
  // The agent's certificate is its own: without a pin, anybody could answer.
  pin: "pass --pin spki:sha256:HEX: the hash of the agent's public key",
};

/**
 * Returns the credentials that the options name; undefined for an address without TLS. Throws a CommandError: an option is
 * missing, or has no effect, or a file cannot be read.
 */
export async function tlsCredentials(
  address: Address,
  options: Pick<Options, 'text'>,
): Promise<TlsCredentials | undefined> {
  const names = ['cert', 'key', 'pin'] as const;
  if (address.kind !== 'tls') {
    const given = names.find((name) => options.text(name) !== undefined);
    if (given === undefined) return undefined;
    throw wrong(`--${given} has no effect: the address is not of the form tls://HOST:PORT`, [
      `remove --${given}, or use the address of a tls:// listener`,
    ]);
  }
  const missing = names.filter((name) => options.text(name) === undefined);
  if (missing.length > 0) {
    const list = missing.map((name) => `--${name}`).join(', ');
    throw wrong(
      `a tls:// address needs ${list}`,
      missing.map((name) => remedies[name]),
    );
  }
  return {
    cert: readTextInput(options.text('cert') ?? ''),
    key: readTextInput(options.text('key') ?? ''),
    pin: await readPin(options.text('pin') ?? ''),
  };
}

/** x509 is loaded only here, so that commands without TLS start as fast as before. */
async function readPin(text: string): Promise<string> {
  const { parsePin } = await import('@kata-agent/x509');
  const pin = parsePin(text);
  if (pin === undefined)
    throw wrong(`--pin '${text}': must be spki:sha256: and 64 hex digits`, [remedies.pin]);
  return pin;
}

function wrong(message: string, help: readonly string[]): CommandError {
  return new CommandError(ExitCode.Usage, message, { help });
}
