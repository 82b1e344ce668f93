import type { Duplex } from 'node:stream';

/** The longest valid reply of a VMM: `OK ` and a port. */
const maxLineBytes = 32;

/**
 * Connects to a guest's port through a VMM's unix socket: writes `CONNECT port`, reads `OK n`. Bytes after that line
 * are unshifted into the stream.
 *
 * Rejects with an Error that quotes the reply; the stream cannot be used afterwards. Source:
 * github.com/firecracker-microvm/firecracker/docs/vsock.md; Cloud Hypervisor does the same.
 */
export function connectHvsock(stream: Duplex, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let line = Buffer.alloc(0);

    const settle = (error?: Error): void => {
      stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onEnd = (): void => {
      settle(new Error(`the VMM closed the connection: nothing listens on port ${port} of the guest`));
    };
    const onReadable = (): void => {
      const chunk: unknown = stream.read();
      if (chunk === null) return;
      line = Buffer.concat([line, chunk as Buffer]);
      const end = line.indexOf('\n');
      if (end < 0) {
        if (line.length > maxLineBytes) settle(unexpected(line));
        return;
      }
      const reply = line.subarray(0, end);
      if (end > maxLineBytes || !/^OK [0-9]+\r?$/.test(reply.toString('latin1'))) {
        settle(unexpected(reply));
        return;
      }
      const rest = line.subarray(end + 1);
      if (rest.length > 0) stream.unshift(rest);
      settle();
    };

    stream.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', settle);
    stream.write(`CONNECT ${port}\n`);
  });
}

function unexpected(line: Buffer): Error {
  const shown = JSON.stringify(line.subarray(0, maxLineBytes).toString('latin1'));
  return new Error(
    `expected 'OK' and a number from the VMM, got ${shown}: is this the vsock socket of a VMM?`,
  );
}
