import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';

/** The side channels, by their names in audit records, and their ports in Kata's runtimes. */
export const sideChannelPorts = { log: 1025, 'debug console': 1026, stdio: 1027 } as const;

/** A configuration with all of them. Without `peers` the default applies. */
export function sideChannelConfiguration(peers: readonly string[]): FileEntry {
  const listener = `
[[listener]]
name = "host"
address = "vsock://-1:1024"
peers = ${JSON.stringify(peers)}
`;
  const text = `[agent]
server_addr = "vsock://-1:1024"
privileged_containers = "allow"
log_vport = ${sideChannelPorts.log}
debug_console = true
debug_console_vport = ${sideChannelPorts['debug console']}
passfd_listener_port = ${sideChannelPorts.stdio}

[api]
release = "4.1"
allowed_endpoints = ["*"]
`;
  return {
    path: '/etc/kata-agent/config.toml',
    mode: 0o644,
    data: Buffer.from(peers.length === 0 ? text : text.replace(/^server_addr.*\n/m, '') + listener),
  };
}
