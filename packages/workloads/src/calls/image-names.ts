/** The names of an image in engines and runtimes. */
export interface ImageNames {
  readonly names: readonly string[];
  /** RE2 for any digest, for an image with a tag only: which image has the tag is not known in advance. */
  readonly digests?: string;
}

/**
 * Returns the name as in the pod, and normalized with registry and tag.
 *
 * Source: `ParseDockerRef` of github.com/distribution/reference, which containerd uses: a tag beside a digest is
 * dropped.
 */
export function imageNames(image: string): ImageNames {
  const [tagged = '', digest] = image.split('@');
  const [, name = tagged, tag] = /^(.*?)(?::([^:/]+))?$/.exec(tagged) ?? [];
  const full = withRegistry(name);
  if (digest !== undefined) return { names: [...new Set([image, `${full}@${digest}`])] };
  const names = [...new Set([image, `${full}:${tag ?? 'latest'}`])];
  return { names, digests: `^${full.replaceAll('.', '[.]')}@sha256:[0-9a-f]{64}$` };
}

/** Returns the digest in a name, `sha256:HEX`; undefined: it has none. */
export function digestIn(image: string): string | undefined {
  return isPinned(image) ? image.slice(image.indexOf('@') + 1) : undefined;
}

/** Returns the name with its registry, without tag and digest. */
export function repositoryOf(image: string): string {
  const [tagged = ''] = image.split('@');
  return withRegistry(tagged.replace(/:[^:/]+$/, ''));
}

/** Reports whether the name has a digest. */
export function isPinned(image: string): boolean {
  return /@sha256:[0-9a-f]{64}$/.test(image);
}

function withRegistry(name: string): string {
  const [first = '', ...others] = name.split('/');
  if (others.length === 0) return `docker.io/library/${name}`;
  return /[.:]/.test(first) || first === 'localhost' ? name : `docker.io/${name}`;
}
