/**
 * Returns a sealed secret as the confidential data hub understands it (guest-components,
 * `confidential-data-hub/hub/src/secret`), with a signature that nobody verifies here.
 *
 * @param payload members that replace those of a vault secret.
 */
export function sealedSecret(payload: Readonly<Record<string, unknown>>): string {
  return sealedText(
    JSON.stringify({
      version: '0.1.0',
      type: 'vault',
      provider: 'kbs',
      provider_settings: {},
      annotations: {},
      ...payload,
    }),
  );
}

/** Returns a sealed secret with any text as its payload. */
export function sealedText(payload: string): string {
  const header = base64url('{"alg":"ES256","kid":"kbs:///default/signing/1"}');
  return `sealed.${header}.${base64url(payload)}.${base64url('signature')}`;
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
