import type { RealmHome } from './realm-process.js';

/** A configuration that dials a realm. */
export function guestConfig(
  home: RealmHome,
  { management = ['Describe', 'WatchAudit', 'RevokePeer'] }: { readonly management?: readonly string[] } = {},
): string {
  return `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev"]

[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "realm"
address = "https://localhost:${home.ports.guests}/guests"
tls = { server_ca = ${JSON.stringify(home.ca.pem)}, pins = ["spki:sha256:${home.certificate.spki()}"] }
relay = "trusted"
allowed_endpoints = ["GetGuestDetails"]
management = ${JSON.stringify(management)}
`;
}
