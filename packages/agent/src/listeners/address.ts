import { parseUnixAddress, type UnixAddress } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';

/**
 * The unix address of a `server_addr`.
 *
 * @throws CannotApply for vsock, which is not built yet.
 */
export function unixAddress(address: string): UnixAddress {
  if (address.startsWith('vsock://')) {
    throw new CannotApply(
      `address ${address}: vsock is not built yet; start with --server-addr unix:///PATH or unix://@NAME`,
    );
  }
  return parseUnixAddress(address);
}
