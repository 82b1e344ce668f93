import { isIPv6 } from 'node:net';
import { ImageError, quoted } from '../errors/image-error.js';
import { type Digest, isDigest } from './digest.js';

/** The name of an image, normalized: `nginx` is `docker.io/library/nginx:latest`. */
export interface ImageReference {
  /** Host and port as in a URL, in lower case: `registry.example:5000`, `[2001:db8::1]`. */
  readonly registry: string;
  /** Path segments, in lower case: `team/app`. */
  readonly repository: string;
  /** Absent with a digest that stands alone. */
  readonly tag?: string;
  readonly digest?: Digest;
}

const maxLength = 1_000;
// By distribution/reference (regexp.go): registries and other clients accept these names and no others.
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const hostPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`);
const segmentPattern = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
/** The repository's limit there (RepositoryNameTotalLengthMax), without the host. */
const maxRepositoryLength = 255;

/**
 * Parses an image reference, as distribution/reference does: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. The first segment is a host when
 * it has a dot or a colon, or is `localhost`. Throws an ImageError.
 */
export function parseReference(text: string): ImageReference {
  const invalid = (why: string): ImageError =>
    new ImageError('reference-invalid', `image reference ${quoted(text)} ${why}`);
  if (text.length > maxLength) throw invalid(`has more than ${maxLength} characters`);
  if (/^[a-f0-9]{64}$/.test(text)) throw invalid('is the id of an image, which is not a name');
  const { named, digest } = splitDigest(text, invalid);
  const { registry, path } = splitRegistry(named, invalid);
  const colon = path.indexOf(':');
  const repository = colon < 0 ? path : path.slice(0, colon);
  const tag = colon < 0 ? undefined : path.slice(colon + 1);
  if (repository !== repository.toLowerCase()) throw invalid('has upper-case letters in its repository');
  if (!isRepository(repository)) throw invalid('has a malformed repository');
  if (tag !== undefined && !tagPattern.test(tag)) throw invalid('has a malformed tag');
  const qualified =
    registry === 'docker.io' && !repository.includes('/') ? `library/${repository}` : repository;
  if (qualified.length > maxRepositoryLength)
    throw invalid(`has a repository of more than ${maxRepositoryLength} characters`);
  return {
    registry,
    repository: qualified,
    ...(tag === undefined && digest === undefined ? { tag: 'latest' } : {}),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Returns host and repository: `docker.io/library/nginx`. */
export function repositoryName({ registry, repository }: ImageReference): string {
  return `${registry}/${repository}`;
}

/** Returns the normalized text. Tag and digest are both in it when both were given. */
export function formatReference(reference: ImageReference): string {
  const { tag, digest } = reference;
  return `${repositoryName(reference)}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** Reports whether a text is a registry: host and optional port. */
export function isRegistry(text: string): boolean {
  if (!hostPattern.test(text)) return false;
  const address = /^\[(.*)\]/.exec(text)?.[1];
  const port = /:([0-9]+)$/.exec(text.replace(/^\[.*\]/, ''))?.[1];
  return (address === undefined || isIPv6(address)) && (port === undefined || isPort(Number(port)));
}

/** Reports whether a text is a repository: path segments in lower case. */
export function isRepository(text: string): boolean {
  return text.split('/').every((segment) => segmentPattern.test(segment));
}

function isPort(port: number): boolean {
  return port > 0 && port <= 65_535;
}

interface Split {
  readonly named: string;
  readonly digest: Digest | undefined;
}

function splitDigest(text: string, invalid: (why: string) => ImageError): Split {
  const at = text.indexOf('@');
  if (at < 0) return { named: text, digest: undefined };
  const digest = text.slice(at + 1);
  if (!isDigest(digest)) throw invalid('has a malformed digest: sha256 or sha512 in lower-case hex');
  return { named: text.slice(0, at), digest };
}

function splitRegistry(
  named: string,
  invalid: (why: string) => ImageError,
): { readonly registry: string; readonly path: string } {
  const slash = named.indexOf('/');
  const first = named.slice(0, Math.max(slash, 0));
  const isHost = /[.:]/.test(first) || first.toLowerCase() === 'localhost';
  // There a host too; but in lower case, as hosts are compared, it would name a repository of docker.io.
  if (!isHost && first !== first.toLowerCase())
    throw invalid('begins with upper-case letters: a host needs a dot or a port');
  if (slash < 0 || !isHost) return { registry: 'docker.io', path: named };
  if (!isRegistry(first)) throw invalid('has a malformed host or port');
  const registry = first.toLowerCase();
  return { registry: registry === 'index.docker.io' ? 'docker.io' : registry, path: named.slice(slash + 1) };
}

/**
 * A pattern of repositories: `registry.example/team/*`. A parsed one has `*` only as whole segments, and `**` only as the last.
 */
export type ReferencePattern = string & { readonly brand?: 'ReferencePattern' };

/**
 * Parses an entry of `registries`, or a scope: a host and path segments, of which `*` stands for exactly one and a last `**` for one
 * or more. `**` alone matches every image. A host without a path is an error: it could mean all or nothing. Throws an
 * ImageError.
 */
export function parseReferencePattern(text: string): ReferencePattern {
  const invalid = (why: string): ImageError =>
    new ImageError('settings-invalid', `pattern of images ${quoted(text)} ${why}`);
  if (text === '**') return text;
  const [host = '', ...path] = text.split('/');
  if (!isRegistry(host) || host !== host.toLowerCase())
    throw invalid('does not begin with a host in lower case');
  if (!/[.:]/.test(host) && host !== 'localhost')
    throw invalid('does not begin with a host: write docker.io/library/NAME for NAME');
  if (path.length === 0) throw invalid('has no path: write HOST/** for all repositories of the host');
  const names = path.filter(
    (segment, index) => segment !== '*' && !(segment === '**' && index === path.length - 1),
  );
  if (names.length > 0 && !isRepository(names.join('/')))
    throw invalid('has a segment that is neither a name in lower case, nor *, nor a last **');
  return text;
}

/** Reports whether the repository of an image matches a pattern. Tag and digest do not count. */
export function matchesPattern(pattern: ReferencePattern, reference: ImageReference): boolean {
  if (pattern === '**') return true;
  const wanted = pattern.split('/');
  const segments = repositoryName(reference).split('/');
  const open = wanted.at(-1) === '**';
  if (open ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every(
    (name, index) =>
      name === segments[index] || (index > 0 && (name === '*' || (open && index === wanted.length - 1))),
  );
}
