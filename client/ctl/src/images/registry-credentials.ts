import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
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
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as DockerConfiguration;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const reason = error instanceof SyntaxError ? 'it is not JSON' : reasonOf(error);
    throw new CommandError(ExitCode.CannotApply, `cannot read ${file}: ${reason}`, {
      help: ['docker login writes it'],
      cause: error,
    });
  }
}

/**
 * Runs `docker-credential-NAME get`. A registry that it does not know has no credential.
 *
 * Source: github.com/docker/docker-credential-helpers, `credentials.Get`: the name of the server is on standard input.
 */
async function ofHelper(helper: string, registry: string, server: string): Promise<Credential | undefined> {
  const program = `docker-credential-${helper}`;
  const running = promisify(execFile)(program, ['get'], { timeout: 30_000, maxBuffer: 1 << 20 });
  running.child.stdin?.end(server);
  let output: string;
  try {
    output = (await running).stdout;
  } catch (error) {
    const { stdout = '' } = error as { readonly stdout?: string };
    if (/credentials not found/.test(stdout)) return undefined;
    throw new CommandError(ExitCode.CannotApply, `${program} has no credential for ${registry}: it failed`, {
      help: [`try it: echo ${server} | ${program} get`],
      // The error of the system has the arguments, and no output.
      cause: new Error(reasonOf(error)),
    });
  }
  const { Username, Secret } = JSON.parse(output) as {
    readonly Username?: unknown;
    readonly Secret?: unknown;
  };
  if (typeof Username !== 'string' || typeof Secret !== 'string' || Username === '<token>') return undefined;
  return { scope: registry, user: Username, password: Secret };
}
