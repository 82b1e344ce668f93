export { parseDecryptionKey } from './encryption/jwe.js';
export { hasImageCode, ImageError } from './errors/image-error.js';
export { type ImageErrorCode, imageErrorCodes } from './errors/image-error-codes.js';
export type { TransportLimits } from './http/transport-limits.js';
export { type ImageConfig, type ImageProcess, parseImageConfig } from './manifest/image-config.js';
export { parseManifest } from './manifest/parse-manifest.js';
export { formatPlatform, ownPlatform, type Platform } from './manifest/platform.js';
export { pull } from './pull/pull.js';
export type {
  PulledImage,
  PulledLayer,
  PullDependencies,
  PullRequest,
  PullSettings,
  WrappedKey,
} from './pull/pull-request.js';
export { type Digest, isDigest } from './reference/digest.js';
export {
  formatReference,
  type ImageReference,
  parseReference,
  repositoryName,
} from './reference/reference.js';
export {
  matchesPattern,
  parseReferencePattern,
  type ReferencePattern,
} from './reference/reference-pattern.js';
export { type Credential, parseCredentials } from './registry/credentials.js';
export { checkEndpointSettings, type EndpointSettings } from './registry/endpoint.js';
export { checkBundle } from './signature/bundle.js';
export { parsePublicKey } from './signature/public-key.js';
export { parseSignaturePolicy, type SignatureSettings } from './signature/signature-policy.js';
export type { VerifiedSignature } from './signature/verify-signatures.js';
export { Budget } from './unpack/budget.js';
export { LayerError, type LayerErrorCode } from './unpack/layer-error.js';
export { LayerTree } from './unpack/layer-tree.js';
export { defaultLimits, type UnpackLimits } from './unpack/limits.js';
export { type LayerDescription, type UnpackedLayer, unpackLayer } from './unpack/unpack-layer.js';
export { type ChildRequest, type ChildSettings, runUnpackChild } from './child/run-unpack-child.js';
export type { LayerFile, UnpackProgress, UnpackResult } from './child/protocol.js';
