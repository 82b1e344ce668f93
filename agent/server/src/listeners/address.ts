import { parseUnixAddress, parseVsockAddress, type UnixAddress, type VsockAddress } from '@kata-agent/linux';

/** The address of a listener. */
export type Address = UnixAddress | ({ readonly kind: 'vsock' } & VsockAddress);

/** Parses an address that the configuration has already checked. */
export function parseAddress(text: string): Address {
  if (text.startsWith('vsock://')) return { kind: 'vsock', ...parseVsockAddress(text) };
  return parseUnixAddress(text);
}
