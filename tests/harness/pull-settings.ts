import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pull, type PulledImage, type PullDependencies, type PullSettings } from '@kata-agent/puller';

export const openSettings: PullSettings = {
  registries: [],
  signatures: [],
  requireDigest: false,
  registryCa: [],
  credentials: [],
  tokenHosts: {},
  mirrors: {},
  decryptionKeys: [],
  maxBytes: 1 << 30,
};

export type SignatureEntries = PullSettings['signatures'][number]['entries'];

/** Returns the settings of a configuration whose only document has these signatures. */
export function withSignatures(entries: SignatureEntries): Pick<PullSettings, 'signatures'> {
  return { signatures: [{ entries, closed: true }] };
}

/** Short bounds, for servers that do not answer. */
export const shortLimits: NonNullable<PullDependencies['limits']> = {
  connectMs: 2_000,
  headersMs: 1_000,
  windowBytes: 10_000,
  windowMs: 300,
};

interface Pulled {
  readonly image: PulledImage;
  /** The bytes that each layer gives. */
  readonly layers: readonly Buffer[];
}

/** Pulls into a fresh directory, and removes it. */
export async function pullImage(
  reference: string,
  settings: Partial<PullSettings>,
  dependencies: Partial<PullDependencies> = {},
): Promise<Pulled> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-pull-'));
  try {
    const image = await pull(
      { reference, settings: { ...openSettings, ...settings } },
      { directory, signal: new AbortController().signal, userAgent: 'kata-agent/test', ...dependencies },
    );
    const layers: Buffer[] = [];
    for (const layer of image.layers) {
      const parts: Buffer[] = [];
      for await (const part of layer.open()) parts.push(part as Buffer);
      layers.push(Buffer.concat(parts));
    }
    return { image, layers };
  } catch (error) {
    const left = readdirSync(directory).filter((name) => name.endsWith('.part'));
    if (left.length > 0) throw new Error(`unverified blobs are left: ${left.join(', ')}`, { cause: error });
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
