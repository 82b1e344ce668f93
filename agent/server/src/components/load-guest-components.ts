import type { AgentSettings, Configuration } from '@kata-agent/config';
import { existsSync } from 'node:fs';
import type { DataHub, ImagePuller } from '@kata-agent/guest';
import type { Log } from '../log.js';

type Level = AgentSettings['guestComponentsProcs'];

/** The guest components in the order in which they are started; each level includes those before it. */
const levels: readonly Level[] = ['none', 'attestation-agent', 'confidential-data-hub', 'api-server-rest'];

/** Where Kata's extension image with the guest components is mounted. */
export const extensionRoot: string = '/run/kata-extensions/coco';

/** Gets resources of the key broker. */
export interface ResourceSource {
  /** @param name `kbs:///REPOSITORY/TYPE/TAG`. Rejects with a GuestError. */
  resource(name: string, signal: AbortSignal): Promise<Uint8Array>;
}

/** The components of a confidential guest that this agent has started: attestation agent, data hub, REST server. */
export interface GuestComponents {
  /** Their names, in the order in which they were started. */
  readonly started: readonly string[];
  /** The programs that were requested and are missing; then none is started. */
  readonly missing: readonly string[];
  /** Undefined: it was not started. */
  readonly dataHub: (DataHub & ResourceSource) | undefined;
  /** Undefined: none of them pulls images. */
  readonly puller: ImagePuller | undefined;
  /** Where an extension image has the pause container; undefined: the guest image has it. */
  readonly pauseBundle: string | undefined;
  stop(): Promise<void>;
}

const none: GuestComponents = {
  started: [],
  missing: [],
  dataHub: undefined,
  puller: undefined,
  pauseBundle: undefined,
  stop: () => Promise.resolve(),
};

/** Starts the guest components. Their code is loaded only if they are requested, and the guest has any of them. @throws CannotApply */
export async function loadGuestComponents(configuration: Configuration, log: Log): Promise<GuestComponents> {
  const { guestComponentsProcs, forward } = configuration.settings;
  // In forward mode they are the inner agent's.
  if (guestComponentsProcs === 'none' || forward !== undefined) return none;
  const programs = builtInPrograms(guestComponentsProcs);
  const hasNone = !existsSync(extensionRoot) && !programs.some((program) => existsSync(program));
  // Kata's default requests them all, in guests that were not made for them, too.
  if (hasNone && configuration.image.puller !== 'cdh') {
    warnOfMissing(programs, { all: true, values: configuration.values }, log);
    return { ...none, missing: programs };
  }
  const { startGuestComponents } = await import('./guest-components.js');
  return await startGuestComponents(configuration, log);
}

/** A guest component, ready to be started. */
export interface Component {
  /** Its name in messages: `attestation-agent`. */
  readonly id: string;
  /** Absolute. */
  readonly path: string;
  readonly args: readonly string[];
  /** A file that is passed with `-c` if it exists. */
  readonly config: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** The socket that shows that it is ready; undefined: it is not waited for. */
  readonly waitSocket: string | undefined;
  /** In ms; 0: it is not waited for. */
  readonly timeoutMs: number;
}

/** Returns the number of a level: the components up to it are started. */
export function levelOf(requested: Level): number {
  return levels.indexOf(requested);
}

/** Returns the path of a component's program in Kata's images. */
export function builtInProgram(id: Exclude<Level, 'none'>): string {
  return `/usr/local/bin/${id}`;
}

/** Returns the paths of the programs that a level includes, in the guest image. */
function builtInPrograms(requested: Level): readonly string[] {
  return levels.slice(0, levelOf(requested) + 1).flatMap((id) => (id === 'none' ? [] : [builtInProgram(id)]));
}

/** Logs which programs of guest components are missing. Where nobody requested any, that is how most images are. */
export function warnOfMissing(
  missing: readonly string[],
  { all, values }: { readonly all: boolean } & Pick<Configuration, 'values'>,
  log: Log,
): void {
  const row = values.find(({ key }) => key === 'guest_components_procs');
  if (row?.source === 'default' && all) {
    log('info', 'this image has no guest components');
    return;
  }
  log(
    'warn',
    'guest components are requested, and none is started: a program is missing\nhelp: add it to the image, or set guest_components_procs to fewer, or "none"',
    { missing: missing.join(', ') },
  );
}
