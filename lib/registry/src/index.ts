export { hasImageCode, ImageError, quoted } from './errors/image-error.js';
export { type ImageErrorCode, imageErrorCodes } from './errors/image-error-codes.js';
export type { HttpProxy, NetworkPlace } from '@kata-agent/linux';
export { Answer, defaultTransportLimits, Transport, type TransportLimits } from './http/transport.js';
export { type ImageConfig, type ImageProcess, parseImageConfig } from './manifest/image-config.js';
export {
  checkEnvelope,
  type Descriptor,
  formatPlatform,
  type ImageManifest,
  indexTypes,
  type LayerDescriptor,
  manifestTypes,
  MediaType,
  ownPlatform,
  parseDescriptor,
  parseDocument,
  parseManifest,
  type Platform,
  samePlatform,
} from './manifest/manifest.js';
export { type Digest, digestAlgorithm, Digester, digestHex, digestOf, isDigest } from './reference/digest.js';
export {
  formatReference,
  type ImageReference,
  matchesPattern,
  parseReference,
  parseReferencePattern,
  type ReferencePattern,
  repositoryName,
} from './reference/reference.js';
export { type Credential, credentialFor, dockerHubServer, parseCredentials } from './registry/credentials.js';
export { checkEndpointSettings, endpointsOf } from './registry/endpoint.js';
export { EndpointClient } from './registry/endpoint-client.js';
export { type FetchedManifest, maxDocumentBytes, maxDocumentsBytes, Registry } from './registry/registry.js';
export { chooseManifest } from './manifest/choose-manifest.js';
