import { type Certificate, Oid, svidFault } from '@kata-agent/x509';

/** Returns why a certificate that OpenSSL has verified is not accepted from an operator; undefined if it is. */
export function operatorFault(
  { notBefore, notAfter, extendedKeyUsage, ...rest }: Certificate,
  now: number,
): string | undefined {
  if (now < notBefore) return "the operator's certificate is not yet valid";
  if (now >= notAfter) return "the operator's certificate has expired";
  // OpenSSL accepts a certificate without this extension for any usage.
  if (extendedKeyUsage?.includes(Oid.ClientAuth) !== true)
    return "clientAuth is not among the usages of the operator's certificate";
  const fault = svidFault({ notBefore, notAfter, extendedKeyUsage, ...rest });
  return fault === undefined ? undefined : `the operator's certificate is not valid: ${fault}`;
}
