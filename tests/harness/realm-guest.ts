import type { RealmHome } from './realm-process.js';

/** A configuration that dials a realm. With `operators`, these entries of `peers`, the relay is operator-tls. */
export function guestConfig(
  home: RealmHome,
  {
    management = ['Describe', 'WatchAudit', 'RevokePeer'],
    operators,
  }: { readonly management?: readonly string[]; readonly operators?: readonly string[] } = {},
): string {
  const relay =
    operators === undefined
      ? 'relay = "trusted"\n'
      : `peers = ${JSON.stringify(operators)}\noperators = [{ peers = ${JSON.stringify(operators)}, verbs = ["connect", "audit", "revoke"] }]\ntls.client_ca = ${JSON.stringify(home.operators.pem)}\n`;
  return `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev"]

[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "realm"
address = "https://localhost:${home.ports.guests}/guests"
tls.server_ca = ${JSON.stringify(home.ca.pem)}
tls.pins = ["spki:sha256:${home.certificate.spki()}"]
${relay}allowed_endpoints = ["GetGuestDetails"]
management = ${JSON.stringify(management)}
`;
}
