import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toTrustMaterial, type TrustMaterial } from '@sigstore/verify';
import { ImageError } from '../../errors/image-error.js';
import { quoted } from '../../errors/quoted.js';
import { Fields } from '../../json/fields.js';

/** `v0.1`, as `cosign trusted-root create` and the public instance write it, and its other form. */
const mediaTypes: readonly unknown[] = [
  'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
  'application/vnd.dev.sigstore.trustedroot.v0.1+json',
  'application/vnd.dev.sigstore.trustedroot.v0.2+json',
];

const maxInstances = 100;

/** Parses a trusted root, which is a part of the configuration. Throws an ImageError. */
export function parseTrustedRoot(text: string): TrustMaterial {
  const invalid = (why: string): ImageError => new ImageError('settings-invalid', `trusted_root ${why}`);
  const fields = Fields.parse(
    Buffer.from(text),
    'trusted_root',
    (why) => new ImageError('settings-invalid', why),
  );
  if (!mediaTypes.includes(fields.get('mediaType'))) throw invalid('is no Sigstore trusted root');
  for (const name of ['certificateAuthorities', 'ctlogs', 'tlogs'])
    if (!fields.has(name) || fields.objects(name, maxInstances).length === 0) throw invalid(`has no ${name}`);
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(text)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(`has a certificate or key that cannot be read: ${quoted(why)}`);
  }
}
