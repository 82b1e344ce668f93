import type { Duplex } from 'node:stream';

/** The operator left while its connection was being opened. */
export class OperatorLeft extends Error {
  override readonly name: string = 'OperatorLeft';
}

/**
 * Waits for a connection to a guest while the operator's end is watched: what it sends meanwhile is kept, to be read later.
 * A connection that arrives too late is destroyed. Rejects with OperatorLeft, with an Error after `openMs`, or as `opening`.
 */
export async function waitForGuest(
  operator: Duplex,
  opening: Promise<Duplex>,
  openMs: number,
): Promise<Duplex> {
  let late = false;
  opening.then(
    (guest) => {
      if (!late) return;
      guest.on('error', () => undefined);
      guest.destroy();
    },
    () => undefined,
  );
  let timer: NodeJS.Timeout | undefined;
  let leave: (error: Error) => void = () => undefined;
  const gone = new Promise<never>((_resolve, reject) => {
    leave = reject;
    timer = setTimeout(() => reject(new Error(`the guest did not connect within ${openMs} ms`)), openMs);
  });
  const onLeave = (): void => leave(new OperatorLeft());
  // Reads up to the buffer's size, so that an end is noticed. With bytes before it the end is passed on later.
  const onReadable = (): void => {
    if (operator.readableLength === 0) operator.read(0);
  };
  operator.on('readable', onReadable).on('end', onLeave).on('close', onLeave);
  if (operator.destroyed) onLeave();
  try {
    return await Promise.race([opening, gone]);
  } catch (error) {
    late = true;
    throw error;
  } finally {
    clearTimeout(timer);
    operator.off('readable', onReadable).off('end', onLeave).off('close', onLeave);
  }
}
