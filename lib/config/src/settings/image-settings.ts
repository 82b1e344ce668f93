import type { ImageSettings } from '../image.js';
import { boolean, oneOf } from '../value-types/scalars.js';
import { hostName, imagePattern, imageSignatures, repository } from '../value-types/image-signatures.js';
import { listOf, mapOf } from '../value-types/collections.js';
import { pemSource, resourceName, resourceOrPath } from '../value-types/sources.js';
import { proxy } from '../value-types/addresses.js';
import { size } from '../value-types/quantities.js';
import { optional } from '../value-types/text.js';
import type { Setting } from './setting.js';

const common = {
  section: 'image',
  merge: 'base only',
  opensGuest: false,
  override: undefined,
  built: 'yes',
} as const;

/** The rows of `[image]` (R18). */
export const imageSettings: { readonly [P in keyof ImageSettings]: Setting<ImageSettings[P]> } = {
  puller: {
    ...common,
    key: 'puller',
    type: oneOf(['none', 'cdh', 'built-in']),
    default: 'none',
    purpose:
      'What pulls the images of containers inside the guest: nothing, the confidential data hub (cdh) by its own policy, or this agent (built-in) by the keys below. Without any document the confidential data hub pulls, if the guest has it.',
    example: '"built-in"',
    withoutGuest: 'the inner agent provides the images of containers',
  },
  registries: {
    ...common,
    merge: 'intersect',
    key: 'registries',
    type: optional(listOf(imagePattern, 'list of patterns of repositories')),
    default: undefined,
    purpose:
      'The repositories that images are pulled from: `*` is one path segment, a last `**` one or more. Without it: all. An image must match in each document that lists them.',
    example: '["registry.example/team/*"]',
  },
  registryCa: {
    ...common,
    key: 'registry_ca',
    type: optional(pemSource),
    default: undefined,
    purpose:
      'The CAs of registries and token hosts, instead of the public ones: a file, which is measured, or PEM text.',
    example: '"/etc/kata-agent/registry-ca.pem"',
  },
  credentials: {
    ...common,
    key: 'credentials',
    type: optional(resourceOrPath),
    default: undefined,
    purpose:
      'Users and passwords of registries, in the form of containers-auth.json: a resource that the confidential data hub gets at the first pull, or, with insecure_static_credentials, a file.',
    example: '"kbs:///default/credential/registry"',
  },
  insecureStaticCredentials: {
    ...common,
    key: 'insecure_static_credentials',
    type: boolean,
    default: false,
    purpose: 'Whether credentials may be a file: anyone who reads the guest image has them.',
    example: 'true',
  },
  tokenHosts: {
    ...common,
    key: 'token_hosts',
    type: mapOf(hostName, listOf(hostName, 'list of hosts'), '{ "registry.example" = ["auth.example"] }'),
    default: {},
    purpose: 'By registry: the other hosts that issue its tokens, and so get its credentials.',
    example: '{ "registry.example" = ["auth.example"] }',
  },
  mirrors: {
    ...common,
    key: 'mirrors',
    type: mapOf(repository, repository, '{ "docker.io" = "registry.example/mirror" }'),
    default: {},
    purpose:
      'Where a registry, or a part of its repositories, is read first, without credentials. Only for references with a digest.',
    example: '{ "docker.io" = "registry.example/mirror" }',
  },
  proxy: {
    ...common,
    key: 'proxy',
    type: optional(proxy),
    default: undefined,
    purpose:
      'The HTTP proxy (CONNECT) through which registries and token hosts are reached. It looks up their names; TLS is end to end.',
    example: '"http://proxy.example:3128"',
  },
  requireDigest: {
    ...common,
    merge: 'or',
    key: 'require_digest',
    type: boolean,
    default: false,
    purpose: 'Whether a reference must have a digest: what a tag names, the registry chooses.',
    example: 'true',
  },
  signatures: {
    ...common,
    merge: 'union',
    key: 'signatures',
    type: optional(imageSignatures),
    default: undefined,
    purpose:
      'The signatures that images need: each scope that matches must have one by one of its keys, or without a key (keyless) by one of its identities and a Sigstore trusted root, or the image one of its digests; an image that no scope of the first document with signatures matches is refused. Further documents add requirements. Keys and trusted roots are files, which are measured, or text; in further documents only text.',
    example:
      '[{ scope = "registry.example/team/*", keys = ["/etc/kata-agent/cosign.pub"], formats = ["bundle"] }]',
  },
  maxSize: {
    ...common,
    merge: 'minimum',
    key: 'max_size',
    type: size({ min: 1024 * 1024, max: 2 ** 40 }),
    default: 4 * 1024 ** 3,
    purpose: 'How large an image may be: its blobs, and again unpacked. Both are in the memory of the guest.',
    example: '"4GiB"',
  },
  decryptionKeys: {
    ...common,
    key: 'decryption_keys',
    type: optional(resourceName),
    default: undefined,
    purpose:
      'Private keys in PEM for encrypted layers: a resource that the confidential data hub gets when an image has such a layer.',
    example: '"kbs:///default/key/image"',
  },
  store: {
    ...common,
    key: 'store',
    type: oneOf(['memory', 'encrypted-disk']),
    default: 'memory',
    purpose:
      'Where the unpacked image is: in the memory of the guest, or on a disk that the host attaches to the container as /dev/trusted_store, encrypted with a key that exists in the memory of the guest only. With puller = "built-in" each image has a disk, under dm-verity: the host cannot return an earlier state of a block. With "cdh" the data hub has one disk for all images, with secure_storage_integrity against changes, and the host can return earlier states of blocks.',
    example: '"encrypted-disk"',
  },
  layers: {
    ...common,
    key: 'layers',
    type: oneOf(['pulled', 'verified']),
    default: 'pulled',
    purpose:
      'Whether the guest pulls images (pulled), or the root of each container must consist of layers that the host brings under dm-verity, and that a rule pins (verified).',
    example: '"verified"',
    withoutGuest: 'the inner agent mounts the roots of containers',
  },
};
