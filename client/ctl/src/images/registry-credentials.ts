import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isRecord } from '@kata-agent/base';
import { type Credential, dockerHubServer, parseCredentials } from '@kata-agent/registry';
import { CommandError, ExitCode, reasonOf } from '@kata-agent/cli';

interface DockerConfiguration {
  readonly auths?: unknown;
  /** The helper for all registries. */
  readonly credsStore?: unknown;
  /** Helpers by registry. */
  readonly credHelpers?: Readonly<Record<string, unknown>>;
}

/**
 * Returns the credentials that Docker has for a registry: of its configuration (`$DOCKER_CONFIG/config.json`), or of the helper that this
 * names. None: the registry is asked without. Rejects with a CommandError; no message has a secret.
 */
export async function registryCredentials(registry: string): Promise<readonly Credential[]> {
  const file = join(process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'), 'config.json');
  const configuration = readConfiguration(file);
  if (configuration === undefined) return [];
  const server = registry === 'docker.io' ? dockerHubServer : registry;
  const helper = configuration.credHelpers?.[server] ?? configuration.credsStore;
  if (typeof helper === 'string' && helper !== '') {
    const credential = await ofHelper(helper, registry, server);
    return credential === undefined ? [] : [credential];
  }
  return parseCredentials(Buffer.from(JSON.stringify({ auths: entriesWithText(configuration.auths) })));
}

/** Entries of registries whose credential a helper has are empty. */
function entriesWithText(auths: unknown): object {
  if (typeof auths !== 'object' || auths === null) return {};
  const entries = Object.entries(auths as Readonly<Record<string, unknown>>);
  return Object.fromEntries(
    entries.flatMap(([name, entry]) => {
      const { auth } = (entry ?? {}) as { readonly auth?: unknown };
      const scope = name.replace(/^https?:\/\/(?!index\.docker\.io)/, '').replace(/(?<!\/v1)\/$/, '');
      return typeof auth === 'string' && auth !== '' ? [[scope, { auth }]] : [];
    }),
  );
}

function readConfiguration(file: string): DockerConfiguration | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(file, reasonOf(error));
  }
  const configuration = parsedObject(text);
  if (configuration === undefined) throw unusable(file, 'it is not a JSON object');
  return configuration;
}

function unusable(file: string, reason: string): CommandError {
  return new CommandError(ExitCode.CannotApply, `cannot read ${file}: ${reason}`, {
    help: ['docker login writes it'],
  });
}

/** Returns undefined for any other text. The error of the parser quotes the text, which can have a secret. */
function parsedObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Runs `docker-credential-NAME get`. A registry that it does not know has no credential.
 *
 * Source: github.com/docker/docker-credential-helpers, `credentials.Get`: the name of the server is on standard input.
 */
async function ofHelper(helper: string, registry: string, server: string): Promise<Credential | undefined> {
  const program = `docker-credential-${helper}`;
  const failed = (reason: string): CommandError =>
    new CommandError(ExitCode.CannotApply, `${program} has no credential for ${registry}: ${reason}`, {
      help: [`try it: echo ${server} | ${program} get`],
    });
  const running = promisify(execFile)(program, ['get'], { timeout: 30_000, maxBuffer: 1 << 20 });
  // One that does not read the name can have an answer all the same: how it ends says.
  running.child.stdin?.on('error', () => undefined).end(server);
  let output: string;
  try {
    output = (await running).stdout;
  } catch (error) {
    const { stdout = '' } = error as { readonly stdout?: string };
    if (/credentials not found/.test(stdout)) return undefined;
    throw failed(howItFailed(error));
  }
  const answer: { readonly Username?: unknown; readonly Secret?: unknown } = parsedObject(output) ?? {};
  const { Username, Secret } = answer;
  if (typeof Username !== 'string' || typeof Secret !== 'string')
    throw failed('its output is not {"Username": …, "Secret": …}');
  return Username === '<token>' ? undefined : { scope: registry, user: Username, password: Secret };
}

/** The message of the error has what the program wrote to its standard error, so it is not used. */
function howItFailed(error: unknown): string {
  const { code, signal } = error as { readonly code?: unknown; readonly signal?: unknown };
  if (typeof code === 'number') return `it ended with ${code}`;
  if (typeof signal === 'string') return `it ended by ${signal}`;
  return code === 'ENOENT' ? 'there is no such program' : `it failed: ${String(code)}`;
}
