/**
 * Returns the address of a side channel: on vsock another port of the same CID, on a unix socket a path with the port
 * appended, as Firecracker names the ports of its guest (`PATH_PORT`).
 */
export function sideChannelAddress(serverAddress: string, port: number): string {
  const vsock = /^vsock:\/\/(-?\d+):\d+$/.exec(serverAddress);
  return vsock === null ? `${serverAddress}_${port}` : `vsock://${vsock[1]}:${port}`;
}
