import { parseUnixAddress, parseVsockAddress, type UnixAddress, type VsockAddress } from '@kata-agent/linux';

/** Where a listener is. */
export type Address = UnixAddress | ({ readonly kind: 'vsock' } & VsockAddress);

/** Reads an address that the configuration's own check let through. */
export function parseAddress(text: string): Address {
  if (text.startsWith('vsock://')) return { kind: 'vsock', ...parseVsockAddress(text) };
  return parseUnixAddress(text);
}
