/** Why an image was not pulled. */
export type ImageErrorCode =
  | 'reference-invalid'
  | 'registry-not-allowed'
  | 'digest-required'
  | 'registry-unreachable'
  | 'registry-untrusted'
  | 'proxy-failed'
  | 'unauthorized'
  | 'token-host-not-listed'
  | 'not-found'
  | 'registry-failed'
  | 'redirect-refused'
  | 'answer-invalid'
  | 'answer-too-large'
  | 'too-slow'
  | 'size-mismatch'
  | 'digest-mismatch'
  | 'manifest-invalid'
  | 'manifest-unsupported'
  | 'platform-missing'
  | 'image-too-large'
  | 'signature-scope-missing'
  | 'signature-missing'
  | 'signature-invalid'
  | 'decryption-key-missing'
  | 'decryption-failed'
  | 'disk-full'
  | 'storage-failed'
  | 'canceled'
  | 'settings-invalid';

interface ImageErrorRow {
  readonly meaning: string;
  /** What the operator can do, as an imperative. */
  readonly remedy: string;
}

const row = (meaning: string, remedy: string): ImageErrorRow => ({ meaning, remedy });

/** Every code. A test causes each of them. */
export const imageErrorCodes: Readonly<Record<ImageErrorCode, ImageErrorRow>> = {
  'reference-invalid': row(
    'the text is not an image reference',
    'write HOST/REPOSITORY@sha256:HEX, or HOST/REPOSITORY:TAG',
  ),
  'registry-not-allowed': row(
    'the normalized name of the image matches no entry of registries',
    'add a pattern that matches the name to registries, or use an image of an allowed registry',
  ),
  'digest-required': row(
    'the reference has only a tag, and require_digest is true',
    'add @sha256:HEX to the reference',
  ),
  'registry-unreachable': row(
    'no connection to the registry, or it ended too often',
    'check network and DNS of the guest, the port in the reference, and proxy',
  ),
  'registry-untrusted': row(
    "TLS failed: the server's certificate has no trusted CA, another name, or is not valid now",
    'compare registry_ca and the name in the reference with the certificate of the server',
  ),
  'proxy-failed': row(
    'the proxy gave no connection to the registry',
    'check the address and rights of the proxy',
  ),
  unauthorized: row(
    'the registry or its token host refused the credentials, or their absence',
    'check credentials: an entry for this registry, and its right to pull this repository',
  ),
  'token-host-not-listed': row(
    'the registry asks for a token of a host that token_hosts does not list for it',
    'if the host issues tokens for this registry, add it to token_hosts',
  ),
  'not-found': row(
    'the registry does not have the manifest or blob',
    'check repository, tag and digest; a registry can also answer so without the right credentials',
  ),
  'registry-failed': row(
    'the registry answered with an unexpected status',
    'look at the log of the registry; repeat the pull later',
  ),
  'redirect-refused': row(
    'the registry redirects where redirects are not followed, not to https, too often, or to an address of the guest or of its cloud',
    'use the registry by the name that it redirects to, or list that name in mirrors',
  ),
  'answer-invalid': row(
    'the answer is not as the OCI distribution specification says',
    'check that the server is a registry, and that no proxy changes its answers',
  ),
  'answer-too-large': row(
    'the answer has more bytes than such an answer may have',
    'use an image with a smaller manifest or configuration',
  ),
  'too-slow': row(
    'the server sent less than the least rate, or the pull took too long',
    'check the network between guest and registry, or use a closer registry or mirror',
  ),
  'size-mismatch': row(
    'the bytes have another length than the descriptor says',
    'push the image again; if it happens again, the registry or the network changes it',
  ),
  'digest-mismatch': row(
    'the bytes do not have the digest that names them',
    'push the image again; if it happens again, the registry or the network changes it',
  ),
  'manifest-invalid': row(
    'the index, manifest or configuration is malformed, ambiguous, or not of the type that was announced',
    'build the image again with a current tool',
  ),
  'manifest-unsupported': row(
    'the image has a form that is not pulled: schema 1, foreign layers, nested indexes, other artifacts',
    'convert the image, for example with skopeo copy --format oci',
  ),
  'platform-missing': row(
    'the index has no image for the platform of the guest, or the image is for another one',
    'build the image for the platform of the guest',
  ),
  'image-too-large': row(
    'the image has more layers or bytes than the limits allow',
    'make the image smaller, or raise max_size',
  ),
  'signature-scope-missing': row(
    'there is a signature policy, and none of its scopes matches the image',
    'add an entry to signatures whose scope matches the image',
  ),
  'signature-missing': row(
    'the registry has no signature of the image in a format of the policy',
    'sign the image by its digest, and push the signature to the same repository',
  ),
  'signature-invalid': row(
    'no signature of the image is valid for a key or identity of the policy, its digest and its name',
    'sign the image by its digest with a key or identity of the policy',
  ),
  'decryption-key-missing': row(
    'a layer is encrypted, and no available key opens it',
    'add a private key of one of the recipients to decryption_keys',
  ),
  'decryption-failed': row(
    'an encrypted layer or its key is malformed or was changed',
    'encrypt and push the image again; AES_256_CTR_HMAC_SHA256 is the only cipher',
  ),
  'disk-full': row(
    'there is no space for the blobs of the image',
    'give the guest more memory, or use a smaller image',
  ),
  'storage-failed': row(
    'a blob could not be written or read',
    "look at the guest's kernel log and the directory of the pull",
  ),
  canceled: row('the caller ended the pull', 'repeat the pull'),
  'settings-invalid': row(
    'a pattern, key, mirror or set of credentials is malformed',
    'correct the value in [image], or the resource that it names',
  ),
};
