interface Lines {
  readonly records: readonly Uint8Array[];
}

/**
 * Reads messages while the last ones are in work, until they have `most` bytes, and yields the lines of all that have come
 * meanwhile together: what takes a time for each write or request takes it once for them. Ends or throws as the messages do, after
 * the lines before that.
 *
 * @param cancel Makes a message that is waited for fail: nobody reads on.
 */
export async function* readAhead(
  messages: AsyncIterable<Lines>,
  max: number,
  cancel: () => void,
): AsyncGenerator<readonly Uint8Array[], void> {
  let lines: Uint8Array[] = [];
  let bytes = 0;
  let end: { readonly error?: unknown } | undefined;
  let wake: () => void = () => undefined;
  let drained: () => void = () => undefined;
  const iterator = messages[Symbol.asyncIterator]();
  const stopped = new AbortController();
  const read = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const { value, done } = await iterator.next();
      if (done === true) break;
      lines.push(...value.records);
      bytes += value.records.reduce((sum, { length }) => sum + length + 1, 0);
      wake();
      if (bytes >= max)
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
    }
  };
  const reading = read().then(
    () => {
      end = {};
    },
    (error: unknown) => {
      end = { error };
    },
  );
  void reading.then(() => wake());
  try {
    for (;;) {
      if (lines.length > 0) {
        const taken = lines;
        [lines, bytes] = [[], 0];
        drained();
        yield taken;
      } else if (end !== undefined) {
        if ('error' in end) throw end.error;
        return;
      } else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    stopped.abort();
    drained();
    // The next message may never come.
    cancel();
    await iterator.return?.();
    await reading;
  }
}
