const label = 'CERTIFICATE';

/** Returns a certificate as PEM. */
export function certificatePem(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** A PEM text with a block that cannot be read as one. OpenSSL reads some that others do not: none is left out silently. */
export class PemError extends Error {}

/** Returns the certificates of a PEM text in DER; blocks of other labels are ignored. Throws a PemError. */
export function certificatesOfPem(text: string): readonly Uint8Array[] {
  return blocks(text, label).map(({ body }) => Buffer.from(body, 'base64'));
}

/** Returns each certificate revocation list of a PEM text, as PEM. Throws a PemError. */
export function revocationListsOfPem(text: string): readonly string[] {
  return blocks(text, 'X509 CRL').map(({ whole }) => `${whole}\n`);
}

function blocks(text: string, label: string): readonly { readonly whole: string; readonly body: string }[] {
  const pattern = `^-----BEGIN ${label}-----\\r?\\n([A-Za-z0-9+/=\\r\\n]+)^-----END ${label}-----\\r?$`;
  const found = [...text.matchAll(new RegExp(pattern, 'gm'))];
  const begun = text.split(`BEGIN ${label}-----`).length - 1;
  if (begun !== found.length)
    throw new PemError(
      `${begun} blocks of ${label} begin, and ${found.length} can be read: each must be lines of its own, without headers, spaces or comments`,
    );
  return found.map(([whole, body = '']) => ({ whole: whole.replace(/\r$/, ''), body }));
}
