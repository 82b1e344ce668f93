import type { Options } from '../command/options.js';
import { CommandError, ExitCode } from '../command/command-error.js';
import { readTextInput } from '../input/read-input.js';
import type { Address, RealmAddress } from './address.js';
import type { ClientIdentity } from './tls-client.js';

/** The client's end of a TLS connection to an agent. */
export interface TlsCredentials extends ClientIdentity {
  /** The SHA-256 of the agent's public key, in hex. Undefined: evidence must have it. */
  readonly pin: string | undefined;
}

/** The client's end of a connection to a realm. */
export interface RealmCredentials extends ClientIdentity {
  /** Each CA of the realm as PEM; at least one. */
  readonly ca: readonly string[];
  /** The SHA-256 of the realm's public key, in hex; undefined: any key of the CA. */
  readonly realmPin: string | undefined;
}

/** The kinds of relay that a client accepts: TLS to the guest, or trust in the realm. */
export type AcceptedRelay =
  | { readonly kind: 'operator-tls'; readonly pin: string | undefined }
  | { readonly kind: 'trusted' };

/** Credentials for an address. */
export type Credentials =
  | ({ readonly for: 'tls' } & TlsCredentials)
  | ({ readonly for: 'realm'; readonly relay: AcceptedRelay } & RealmCredentials);

const names = ['cert', 'key', 'pin', 'attested', 'realmCa', 'realmPin', 'relay'] as const;
type Name = (typeof names)[number];

const flags: Readonly<Record<Name, string>> = {
  cert: '--cert',
  key: '--key',
  pin: '--pin',
  attested: '--attested',
  realmCa: '--realm-ca',
  realmPin: '--realm-pin',
  relay: '--relay',
};

const remedies = {
  cert: 'pass --cert FILE: a PEM certificate of a CA in client_ca of the listener',
  key: 'pass --key FILE: the PEM private key of that certificate',
  // The agent's certificate is its own: without a pin, anybody could answer.
  pin: "pass --pin spki:sha256:HEX: the hash of the agent's public key",
};

const realmRemedies = {
  cert: 'pass --cert FILE: a PEM certificate of a CA of the realm, and of client_ca of the guest’s listener',
  key: remedies.key,
  realmCa: "pass --realm-ca FILE: PEM certificates of the CAs of the realm's certificate",
  pin: "pass --pin spki:sha256:HEX: the hash of the guest's public key, or its whole ID as GUEST; or --relay trusted, to believe the realm instead",
};

/**
 * Returns the credentials that the options name; undefined for an address without TLS. Throws a CommandError: an option is
 * missing, or has no effect, or a file cannot be read.
 */
export async function tlsCredentials(
  address: Address,
  options: Pick<Options, 'text'>,
): Promise<Credentials | undefined> {
  if (address.kind === 'tls') {
    refuse(options, ['realmCa', 'realmPin', 'relay'], 'the address is not of the form realm://HOST/GUEST', [
      'remove it, or use the address of a realm',
    ]);
    require(options, ['cert', 'key'], 'a tls:// address', remedies);
    return { for: 'tls', ...identityOf(options), pin: await agentPin(options, 'a tls:// address', remedies) };
  }
  if (address.kind === 'realm')
    return {
      for: 'realm',
      ...(await realmCredentials(options)),
      relay: await acceptedRelay(address, options),
    };
  refuse(options, names, 'the address is not of the form tls://HOST:PORT or realm://HOST/GUEST', [
    'remove it, or use the address of a tls:// listener',
  ]);
  return undefined;
}

/** Returns the credentials for requests to a realm itself. Throws a CommandError. */
export async function realmItself(options: Pick<Options, 'text'>): Promise<RealmCredentials> {
  refuse(options, ['pin', 'attested', 'relay'], 'the request is to the realm, and not to a guest', [
    'remove it',
  ]);
  return await realmCredentials(options);
}

async function realmCredentials(options: Pick<Options, 'text'>): Promise<RealmCredentials> {
  require(options, ['cert', 'key', 'realmCa'], 'a realm:// address', realmRemedies);
  const realmPin =
    options.text('realmPin') === undefined
      ? undefined
      : await readPin(
          options,
          'realmPin',
          "pass --realm-pin spki:sha256:HEX: the hash of the realm's public key",
        );
  return { ...identityOf(options), ca: await readCa(options.text('realmCa') ?? ''), realmPin };
}

/** Trusting the realm must be written, and excludes a pin: the realm, not the guest, answers then. */
async function acceptedRelay(
  { guest = '' }: RealmAddress,
  options: Pick<Options, 'text'>,
): Promise<AcceptedRelay> {
  if (options.text('relay') === 'trusted') {
    refuse(options, ['pin', 'attested'], 'with --relay trusted the realm answers, and not the guest', [
      'remove --pin to believe the realm, or --relay trusted to believe only the guest',
    ]);
    return { kind: 'trusted' };
  }
  const id = /^[0-9a-f]{64}$/.test(guest) ? guest : undefined;
  if (id !== undefined && options.text('pin') === undefined) return { kind: 'operator-tls', pin: id };
  return { kind: 'operator-tls', pin: await agentPin(options, 'a realm:// address', realmRemedies) };
}

/** The pin can be missing if evidence is verified: it has the key. */
async function agentPin(
  options: Pick<Options, 'text'>,
  what: string,
  remedy: Readonly<Record<'pin', string>>,
): Promise<string | undefined> {
  if (options.text('pin') === undefined && options.text('attested') !== undefined) return undefined;
  require(options, ['pin'], what, remedy);
  return await readPin(options, 'pin', remedy.pin);
}

function identityOf(options: Pick<Options, 'text'>): ClientIdentity {
  return { cert: readTextInput(options.text('cert') ?? ''), key: readTextInput(options.text('key') ?? '') };
}

/** x509 is loaded only here, so that commands without TLS start as fast as before. */
async function readPin(options: Pick<Options, 'text'>, name: Name, remedy: string): Promise<string> {
  const { parsePin } = await import('@kata-agent/x509');
  const text = options.text(name) ?? '';
  const pin = parsePin(text);
  if (pin === undefined)
    throw wrong(`${flags[name]} '${text}': must be spki:sha256: and 64 hex digits`, [remedy]);
  return pin;
}

/** Without a certificate, Node.js would trust all CAs of the web. */
async function readCa(file: string): Promise<readonly string[]> {
  const { certificatesOfPem, certificatePem, PemError } = await import('@kata-agent/x509');
  try {
    const certificates = certificatesOfPem(readTextInput(file));
    if (certificates.length > 0) return certificates.map(certificatePem);
  } catch (error) {
    if (!(error instanceof PemError)) throw error;
    throw wrong(`--realm-ca ${file}: ${error.message}`, [realmRemedies.realmCa]);
  }
  throw wrong(`--realm-ca ${file}: it has no certificate`, [realmRemedies.realmCa]);
}

function require<N extends Name>(
  options: Pick<Options, 'text'>,
  needed: readonly N[],
  what: string,
  remedy: Readonly<Record<N, string>>,
): void {
  const missing = needed.filter((name) => options.text(name) === undefined);
  if (missing.length === 0) return;
  throw wrong(
    `${what} needs ${missing.map((name) => flags[name]).join(', ')}`,
    missing.map((name) => remedy[name]),
  );
}

function refuse(
  options: Pick<Options, 'text'>,
  without: readonly Name[],
  why: string,
  help: readonly string[],
): void {
  const given = without.find((name) => options.text(name) !== undefined);
  if (given !== undefined) throw wrong(`${flags[given]} has no effect: ${why}`, help);
}

function wrong(message: string, help: readonly string[]): CommandError {
  return new CommandError(ExitCode.Usage, message, { help });
}
