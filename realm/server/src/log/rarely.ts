/** Counters of more keys than this are forgotten, all at once. */
const mostKeys = 1024;

/**
 * Returns a function that calls `report` with the number of calls, for the first, second, fourth … of each key: a peer can
 * neither fill a log nor silence what is said about another one.
 */
export function rarely<Event = undefined>(
  report: (key: string, times: number, event: Event) => void,
): (key: string, event: Event) => void {
  const counts = new Map<string, number>();
  return (key, event) => {
    if (counts.size >= mostKeys && !counts.has(key)) counts.clear();
    const times = (counts.get(key) ?? 0) + 1;
    counts.set(key, times);
    if (Number.isInteger(Math.log2(times))) report(key, times, event);
  };
}
