// The configuration of Kata's runtime for the remote hypervisor, from Kata's own.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes the configuration and returns its path. `given`: Kata's configuration-remote.toml. */
export function writeRemoteConfiguration(given: string, work: string, socket: string): string {
  const path = join(work, 'kata.toml');
  writeFileSync(path, withGuestPull(readFileSync(given, 'utf8'), socket));
  return path;
}

/** Returns Kata's configuration with the socket of the remote hypervisor, and with images that the guest pulls. */
export function withGuestPull(text: string, socket: string): string {
  const line = /^remote_hypervisor_socket = .*$/m;
  const section = /^\[runtime\]$/m;
  if (!line.test(text) || !section.test(text))
    throw new Error('configuration-remote.toml has no remote_hypervisor_socket or no [runtime]');
  const key = 'experimental_force_guest_pull = true';
  const own = /^experimental_force_guest_pull = .*$/m;
  const connected = text.replace(line, `remote_hypervisor_socket = "${socket}"`);
  return own.test(connected) ? connected.replace(own, key) : connected.replace(section, `[runtime]\n${key}`);
}

/**
 * Adds keys of `[image]` to the text of a configuration, whose own values stay. `keys` are in TOML.
 */
export function withImageSettings(text: string, keys: Readonly<Record<string, string>>): string {
  const header = '[image]\n';
  const at = text.startsWith(header) ? 0 : text.indexOf(`\n${header}`) + 1;
  const has = at > 0 || text.startsWith(header);
  const [before, own] = has ? [text.slice(0, at), text.slice(at + header.length)] : [`${text}\n`, ''];
  const section = own.split(/^\[/m)[0] ?? '';
  const added = Object.entries(keys).filter(([key]) => !new RegExp(`^${key} *=`, 'm').test(section));
  return `${before}${header}${added.map(([key, value]) => `${key} = ${value}\n`).join('')}${own}`;
}
