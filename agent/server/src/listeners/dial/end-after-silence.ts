/** How often the received bytes are compared, in parts of the silence. */
const parts = 15;

/**
 * Calls `work` once nothing was received for a time. Bytes that we send do not count: they can lie in buffers while the
 * other end is gone. Returns a function that cancels it.
 *
 * @param received returns the number of bytes received so far.
 */
export function endAfterSilence(silenceMs: number, received: () => number, work: () => void): () => void {
  let before = received();
  let quiet = 0;
  const timer = setInterval(() => {
    const now = received();
    quiet = now === before ? quiet + 1 : 0;
    before = now;
    if (quiet < parts) return;
    clearInterval(timer);
    work();
  }, silenceMs / parts);
  return () => clearInterval(timer);
}
