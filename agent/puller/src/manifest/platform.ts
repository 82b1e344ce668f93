/** What an image runs on, in the words of Go: `linux`, `amd64` or `arm64`, and the variant of an arm processor. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** Reports whether two platforms are the same. The variants that are a processor's only or first are the same as none. */
export function samePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && variantOf(a) === variantOf(b);
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined || variant === '' ? '' : `/${variant}`}`;
}

/** Returns the platform of this program. Variants of 32-bit arm are not known to Node.js. */
export function ownPlatform(): Platform {
  const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
  return { os: 'linux', architecture: architectures[process.arch] ?? process.arch };
}

function variantOf({ architecture, variant = '' }: Platform): string {
  const only: Readonly<Record<string, string>> = { arm64: 'v8', amd64: 'v1' };
  return variant === only[architecture] ? '' : variant;
}
