import type { ImageFile } from './machine.js';

/** The doors beside the API, by the names that they have in the record, and their ports as Kata's runtimes number them. */
export const doorPorts = { log: 1025, 'debug console': 1026, stdio: 1027 } as const;

/** A configuration with all of them. Without `peers`, who may come is left to the agent. */
export function everyDoor(peers: readonly string[]): ImageFile {
  const listener = `
[[listener]]
name = "host"
address = "vsock://-1:1024"
peers = ${JSON.stringify(peers)}
`;
  const text = `[agent]
server_addr = "vsock://-1:1024"
privileged_containers = "allow"
log_vport = ${doorPorts.log}
debug_console = true
debug_console_vport = ${doorPorts['debug console']}
passfd_listener_port = ${doorPorts.stdio}

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
