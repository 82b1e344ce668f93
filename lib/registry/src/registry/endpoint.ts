import { ImageError, quoted } from '../errors/image-error.js';
import { type ImageReference, isRegistry, isRepository, repositoryName } from '../reference/reference.js';
import { type Credential, credentialFor } from './credentials.js';

/** Where a repository is read: its registry, or a mirror. */
export interface Endpoint {
  /** Host and port of the URL. */
  readonly host: string;
  readonly repository: string;
  /** Never for a mirror. */
  readonly credential?: Credential;
  /** Hosts, with port, that may issue tokens, besides the registry itself. */
  readonly tokenHosts: readonly string[];
  readonly isMirror: boolean;
  /**
   * On the machine of an author, who pins what is found: manifests may be redirected, as registry.k8s.io does, and tokens without a
   * credential come from any host. In a guest the configuration lists what may be asked.
   */
  readonly isOpen?: boolean;
}

export interface EndpointSettings {
  readonly credentials: readonly Credential[];
  /** By registry. */
  readonly tokenHosts: Readonly<Record<string, readonly string[]>>;
  /** A registry, or a part of its repositories, and where it is mirrored. */
  readonly mirrors: Readonly<Record<string, string>>;
  /** As of the endpoint. */
  readonly isOpen?: boolean;
}

/** The host of Docker Hub's registry, and of its tokens: its names are facts of the registry, as its reference's default is. */
const dockerHub = { name: 'docker.io', host: 'registry-1.docker.io', tokenHost: 'auth.docker.io' } as const;

/**
 * Returns where an image is read, in order: a mirror, which is transport only and therefore needs a digest in the reference, and the
 * registry.
 */
export function endpointsOf(reference: ImageReference, settings: EndpointSettings): readonly Endpoint[] {
  const { registry, repository } = reference;
  const isHub = registry === dockerHub.name;
  const credential = credentialFor(reference, settings.credentials);
  const own: Endpoint = {
    host: isHub ? dockerHub.host : registry,
    repository,
    ...(credential === undefined ? {} : { credential }),
    tokenHosts: valueOf(settings.tokenHosts, registry) ?? (isHub ? [dockerHub.tokenHost] : []),
    isMirror: false,
    ...(settings.isOpen === undefined ? {} : { isOpen: settings.isOpen }),
  };
  const mirror = reference.digest === undefined ? undefined : mirrorOf(reference, settings);
  return mirror === undefined ? [own] : [mirror, own];
}

/** Checks the settings' names. Throws an ImageError. */
export function checkEndpointSettings({ tokenHosts, mirrors }: EndpointSettings): void {
  const check = (text: string, key: string, withPath: boolean): void => {
    const [host = '', ...path] = text.split('/');
    const good =
      isRegistry(host) &&
      host === host.toLowerCase() &&
      (path.length === 0 || (withPath && isRepository(path.join('/'))));
    if (!good)
      throw new ImageError(
        'settings-invalid',
        `${key} has ${quoted(text)}, which is not a ${withPath ? 'registry or repository' : 'host'} in lower case`,
      );
  };
  for (const [registry, hosts] of Object.entries(tokenHosts)) {
    check(registry, 'token_hosts', false);
    for (const host of hosts) check(host, 'token_hosts', false);
  }
  for (const pair of Object.entries(mirrors)) for (const name of pair) check(name, 'mirrors', true);
}

function mirrorOf(reference: ImageReference, settings: EndpointSettings): Endpoint | undefined {
  const name = repositoryName(reference);
  const [longest] = Object.keys(settings.mirrors)
    .filter((prefix) => name === prefix || name.startsWith(`${prefix}/`))
    .sort((a, b) => b.length - a.length);
  if (longest === undefined) return undefined;
  const [host = '', ...path] = (settings.mirrors[longest] ?? '').split('/');
  const rest = name
    .slice(longest.length)
    .split('/')
    .filter((segment) => segment !== '');
  return {
    host,
    repository: [...path, ...rest].join('/'),
    tokenHosts: valueOf(settings.tokenHosts, host) ?? [],
    isMirror: true,
  };
}

function valueOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
