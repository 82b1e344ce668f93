import { ImageError } from '../errors/image-error.js';
import { quoted } from '../errors/quoted.js';
import { type ImageReference, isRegistry, isRepository, repositoryName } from './reference.js';

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
