/** The port of a guest's listener for its tenant. */
export const tenantPort = 8443;

/** Where a guest image has the CA of its tenant, in most tests. */
export const tenantCaFile = '/etc/kata-agent/tenant-ca.pem';

/** Returns the listener for the host, in TOML. `rights`: lines that say what it serves; none: what `[api]` allows. */
export function hostListener(rights = ''): string {
  return `[[listener]]
name = "host"
address = "vsock://-1:1024"
peers = ["host", "cid:1"]
${rights}`;
}

/** Returns the listener for a tenant over TLS, in TOML. `clientCa`: a file of the guest, or PEM. */
export function tenantListener({
  peer,
  rights,
  clientCa = tenantCaFile,
}: {
  readonly peer: string;
  readonly rights: string;
  readonly clientCa?: string;
}): string {
  return `[[listener]]
name = "tenant"
address = "tls://0.0.0.0:${tenantPort}"
peers = ["${peer}"]
tls = { client_ca = ${JSON.stringify(clientCa)} }
${rights}`;
}
