/** The names under which engines and runtimes know an image that a pod names. */
export interface ImageNames {
  readonly names: readonly string[];
  /** RE2: by any digest, where the pod gives a tag only. Nobody knows beforehand which image has the tag. */
  readonly digests?: string;
}

/**
 * As the pod writes it, and with the registry and tag that it leaves out.
 *
 * Source: `ParseDockerRef` of github.com/distribution/reference, which containerd normalizes names with: beside a digest the tag
 * is dropped.
 */
export function imageNames(image: string): ImageNames {
  const [tagged = '', digest] = image.split('@');
  const [, name = tagged, tag] = /^(.*?)(?::([^:/]+))?$/.exec(tagged) ?? [];
  const full = withRegistry(name);
  if (digest !== undefined) return { names: [...new Set([image, `${full}@${digest}`])] };
  const names = [...new Set([image, `${full}:${tag ?? 'latest'}`])];
  return { names, digests: `^${full.replaceAll('.', '[.]')}@sha256:[0-9a-f]{64}$` };
}

/** Whether the pod pins what runs. */
export function isPinned(image: string): boolean {
  return /@sha256:[0-9a-f]{64}$/.test(image);
}

function withRegistry(name: string): string {
  const [first = '', ...others] = name.split('/');
  if (others.length === 0) return `docker.io/library/${name}`;
  return /[.:]/.test(first) || first === 'localhost' ? name : `docker.io/${name}`;
}
