const label = 'CERTIFICATE';

/** Returns a certificate as PEM. */
export function certificatePem(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/**
 * Returns the certificates of a PEM text in DER. Only blocks of the label CERTIFICATE count; text around them is
 * ignored, as in OpenSSL.
 */
export function certificatesOfPem(text: string): readonly Uint8Array[] {
  const block = /-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;
  return [...text.matchAll(block)].map(([, body = '']) => Buffer.from(body, 'base64'));
}
