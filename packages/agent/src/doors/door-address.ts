/**
 * Where something is served beside the API: on vsock at another port of the same context, on a unix socket at one beside
 * it, named after the port as Firecracker names those of its guest (`PATH_PORT`).
 */
export function doorAddress(serverAddress: string, port: number): string {
  const vsock = /^vsock:\/\/(-?\d+):\d+$/.exec(serverAddress);
  return vsock === null ? `${serverAddress}_${port}` : `vsock://${vsock[1]}:${port}`;
}
