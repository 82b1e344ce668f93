// Determines the build facts of a bundle from a configuration: the methods that it never serves, and the
// document that the program is built for.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { BuildFacts } from '@kata-agent/agent/build-facts';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { type Configuration, loadConfiguration, renderDiagnostic } from '@kata-agent/config';
import { compileGate } from '@kata-agent/gate';
import { root } from '@kata-agent/setup/bootstrap';

/** The options of a bundle. */
export interface BundleRequest {
  /** The path of the base document that determines the omitted methods; without it no method is omitted. */
  readonly file?: string | undefined;
  /** Whether the program requires a configuration to start. */
  readonly requireConfig: boolean;
  /** Whether the document is built into the program. */
  readonly embed: boolean;
}

/** The configuration is invalid; the message has its rendered diagnostics. */
export class InvalidConfigurationError extends Error {}

/**
 * Returns the build facts for a base document. A method is omitted if no listener serves it; further documents
 * can only restrict, so the base document alone decides.
 */
export async function planBundle({ file, requireConfig, embed }: BundleRequest): Promise<BuildFacts> {
  const time = sourceTime();
  const built = time === undefined ? {} : { sourceTime: time };
  if (file === undefined) return { leftOut: [], ...built, requireConfig };
  const bytes = readFileSync(file);
  const name = basename(file);
  const configuration = await load({ name, bytes });
  const listeners = configuration.listeners.map((listener) => listener.name);
  const gate = compileGate(configuration, { listeners });
  const served = new Set(listeners.flatMap((listener) => gate.served(listener)));
  const facts: BuildFacts = {
    leftOut: methodNames.filter((method) => !served.has(method)),
    builtFor: { name, sha256: createHash('sha256').update(bytes).digest('hex') },
    ...(embed ? { document: bytes.toString('utf8') } : {}),
    ...built,
    requireConfig: requireConfig || embed,
  };
  // Checks that the program with only these handlers accepts the document that it was built for.
  await load({ name, bytes }, served);
  return facts;
}

/** Returns the address of the agent that a base document puts this one in front of; undefined: it has the guest itself. */
export async function forwardOf(file: string): Promise<string | undefined> {
  const configuration = await load({ name: basename(file), bytes: readFileSync(file) });
  return configuration.settings.forward;
}

/** Loads the configuration of an agent with this base document and no further ones. */
async function load(
  builtIn: { readonly name: string; readonly bytes: Buffer },
  handlers?: ReadonlySet<MethodName>,
): Promise<Configuration> {
  const loaded = await loadConfiguration({
    flags: {},
    builtIn,
    environment: {},
    files: {
      read: (path) => ({
        ok: false,
        missing: true,
        code: 'KA1603',
        message: `${path} is not read here`,
        help: '',
      }),
    },
    rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
    delivery: [],
    offline: { later: [], sense: 'warning' },
    hostData: () => ({ ok: false, message: 'a build has no host data', help: '' }),
    ...(handlers === undefined ? {} : { handlers }),
  });
  if (loaded.ok) return loaded.configuration;
  throw new InvalidConfigurationError(
    loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n'),
  );
}

// Finds the time of this repository's source, from which the default of `clock_floor` comes. Never the time of the
// build: two builds of one source must give the same bytes.

/**
 * Returns SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), otherwise the time of the commit
 * that is checked out; in seconds since 1970. Returns undefined for a source without git.
 *
 * @throws Error if SOURCE_DATE_EPOCH is not a number, or later than this machine's clock: the guest's clock would be raised
 * to a time that has not come.
 */
export function sourceTime(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  directory: string = root,
): number | undefined {
  const given = environment['SOURCE_DATE_EPOCH'];
  if (given === undefined || given === '') return commitTime(directory);
  const time = /^\d{1,10}$/.test(given) ? Number(given) : Number.NaN;
  if (time * 1000 <= Date.now()) return time;
  throw new Error(
    `SOURCE_DATE_EPOCH must be seconds since 1970, and in the past, not ${JSON.stringify(given)}\n` +
      'help: unset it, to take the time of the commit',
  );
}

function commitTime(directory: string): number | undefined {
  // Not that of a repository in which this one was unpacked.
  if (!existsSync(join(directory, '.git'))) return undefined;
  // For each owner of the directory: the image must be the same for each user of this machine.
  const options = [
    '-C',
    directory,
    '-c',
    'safe.directory=*',
    'log',
    '-1',
    '--no-show-signature',
    '--format=%ct',
  ];
  const { status, stdout } = spawnSync('git', options, { encoding: 'utf8' });
  return status === 0 && /^\d+\n$/.test(stdout) ? Number(stdout) : undefined;
}
