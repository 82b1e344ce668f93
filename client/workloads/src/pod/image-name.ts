import { ImageError, parseReference } from '@kata-agent/registry';

/**
 * Returns the names that engines and runtimes use for an image: as in the pod, and normalized with registry and tag. A name with a tag is never
 * replaced by one with a digest: containerd puts the name that the pod has into the annotation, or else the first of the image's references, of
 * which those with a tag come first. A digest instead would be any image of the repository.
 *
 * Source: `ParseDockerRef` and `Sort` of github.com/distribution/reference, which containerd uses: a tag beside a digest is dropped;
 * `UserSpecifiedImage` in containerd's internal/cri/server/container_create.go.
 */
export function imageNames(image: string): readonly string[] {
  const [tagged = '', digest] = image.split('@');
  const [, name = tagged, tag] = /^(.*?)(?::([^:/]+))?$/.exec(tagged) ?? [];
  const full = withRegistry(name);
  return [...new Set([image, digest === undefined ? `${full}:${tag ?? 'latest'}` : `${full}@${digest}`])];
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

/** Reports whether a text can name an image; the kubelet starts no pod with another one. */
export function isImageName(image: string): boolean {
  try {
    parseReference(image);
    return true;
  } catch (error) {
    if (error instanceof ImageError) return false;
    throw error;
  }
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
