const label = 'CERTIFICATE';

/** Returns a certificate as PEM. */
export function certificatePem(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** Returns the certificates of a PEM text in DER. Text around them, and blocks of other labels, are ignored. */
export function certificatesOfPem(text: string): readonly Uint8Array[] {
  return blocks(text, label).map(({ body }) => Buffer.from(body, 'base64'));
}

/** Returns each certificate revocation list of a PEM text, as PEM. */
export function revocationListsOfPem(text: string): readonly string[] {
  return blocks(text, 'X509 CRL').map(({ whole }) => `${whole}\n`);
}

function blocks(text: string, label: string): readonly { readonly whole: string; readonly body: string }[] {
  const block = new RegExp(`-----BEGIN ${label}-----\\r?\\n([A-Za-z0-9+/=\\s]+)-----END ${label}-----`, 'g');
  return [...text.matchAll(block)].map(([whole, body = '']) => ({ whole, body }));
}
