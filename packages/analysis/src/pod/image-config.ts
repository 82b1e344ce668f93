/** What an image says of itself: the `config` of an OCI image configuration. */
export interface ImageConfig {
  readonly user: string;
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  readonly volumes: readonly string[];
  readonly stopSignal: string;
  /** Groups of the user in the image's own /etc/group, by number. */
  readonly groups: readonly number[];
}

/** By the image's name as it stands in the pod. */
export type ImageConfigs = ReadonlyMap<string, ImageConfig>;

/**
 * Reads an OCI image configuration: the JSON that `skopeo inspect --config docker://IMAGE` or `crane config IMAGE`
 * prints. Absent keys are empty. No tool prints the groups that the image's /etc/group gives its user: they may be added by hand,
 * as `"groups": [10]` beside `config`. Throws TypeError or SyntaxError when it is none.
 *
 * Source: OCI image-spec v1, config.md.
 */
export function parseImageConfig(text: string): ImageConfig {
  const document: unknown = JSON.parse(text);
  const config = record(record(document, 'the image configuration')['config'] ?? {}, 'config');
  return {
    user: word(config, 'User'),
    env: words(config, 'Env'),
    entrypoint: words(config, 'Entrypoint'),
    cmd: words(config, 'Cmd'),
    workingDir: word(config, 'WorkingDir'),
    volumes: Object.keys(record(config['Volumes'] ?? {}, 'config.Volumes')),
    stopSignal: word(config, 'StopSignal'),
    groups: groupsOf(document),
  };
}

function groupsOf(document: unknown): readonly number[] {
  const value = record(document, 'the image configuration')['groups'] ?? [];
  const isGroup = (each: unknown): boolean => Number.isSafeInteger(each) && Number(each) >= 0;
  if (!Array.isArray(value) || !value.every(isGroup))
    throw new TypeError('groups has to be a list of numbers');
  return value.map(Number);
}

type Json = Readonly<Record<string, unknown>>;

function record(value: unknown, name: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} has to be an object`);
  }
  return value as Json;
}

function word(config: Json, key: string): string {
  const value = config[key] ?? '';
  if (typeof value !== 'string') throw new TypeError(`config.${key} has to be text`);
  return value;
}

function words(config: Json, key: string): readonly string[] {
  const value = config[key] ?? [];
  if (!Array.isArray(value) || !value.every((element) => typeof element === 'string')) {
    throw new TypeError(`config.${key} has to be a list of texts`);
  }
  return value;
}
