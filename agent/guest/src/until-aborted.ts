/** Waits for work that cannot be ended, and abandons it when the signal is aborted: rejects with its reason. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abandon = (): void => reject(signal.reason as Error);
    if (signal.aborted) abandon();
    signal.addEventListener('abort', abandon);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abandon));
  });
}
