import { GuestError, type GuestErrorKind } from '@kata-agent/guest';
import { ImageError, type ImageErrorCode, LayerError, type LayerErrorCode } from '@kata-agent/puller';

/** Codes of a pull whose kind is not `precondition`. */
const imageKinds: Readonly<Partial<Record<ImageErrorCode, GuestErrorKind>>> = {
  'reference-invalid': 'invalid',
  'registry-not-allowed': 'refused',
  'digest-required': 'refused',
  'signature-scope-missing': 'refused',
  'signature-missing': 'refused',
  'signature-invalid': 'refused',
  'digest-mismatch': 'refused',
  'size-mismatch': 'refused',
  'token-host-not-listed': 'refused',
  'redirect-refused': 'refused',
  'not-found': 'not-found',
  'platform-missing': 'not-found',
  'image-too-large': 'exhausted',
  'disk-full': 'exhausted',
  'too-slow': 'deadline',
  'storage-failed': 'internal',
};

/** Codes of layers whose kind is not `refused`. */
const layerKinds: Readonly<Partial<Record<LayerErrorCode, GuestErrorKind>>> = {
  limit: 'exhausted',
  space: 'exhausted',
  system: 'internal',
  child: 'internal',
};

/** Returns the error of an image that is not pulled. */
export function pullFailure(
  kind: GuestErrorKind,
  reference: string,
  why: string,
  cause?: unknown,
): GuestError {
  return new GuestError(
    kind,
    `image ${JSON.stringify(reference.slice(0, 256))} cannot be pulled: ${why}`,
    cause === undefined ? {} : { cause },
  );
}

/** Converts an error of a pull; another one is returned as it is. */
export function imageFailure(reference: string, error: unknown): unknown {
  const failed = (kind: GuestErrorKind, code: string, why: string): GuestError =>
    pullFailure(kind, reference, `${why} (${code})`, error);
  if (error instanceof ImageError)
    return failed(
      imageKinds[error.code] ?? 'precondition',
      error.code,
      `${error.message}; help: ${error.remedy}`,
    );
  if (error instanceof LayerError)
    return failed(layerKinds[error.code] ?? 'refused', error.code, error.message.replaceAll('\n', '; '));
  return error;
}
