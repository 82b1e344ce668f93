/**
 * Returns a function that calls `report` with the number of calls for the first, second, fourth … call: an event that repeats
 * must not fill a log.
 */
export function onDoublings<Event = void>(
  report: (times: number, event: Event) => void,
): (event: Event) => void {
  let times = 0;
  return (event) => {
    times += 1;
    if (Number.isInteger(Math.log2(times))) report(times, event);
  };
}

/** Counters of more keys than this are forgotten, all at once. */
const maxKeys = 1024;

/** The same for each key: a peer can neither fill a log nor silence what is said about another one. */
export function onDoublingsOfEach<Event = void>(
  report: (key: string, times: number, event: Event) => void,
): (key: string, event: Event) => void {
  const counters = new Map<string, (event: Event) => void>();
  return (key, event) => {
    if (counters.size >= maxKeys && !counters.has(key)) counters.clear();
    const counter = counters.get(key) ?? onDoublings<Event>((times, of) => report(key, times, of));
    counters.set(key, counter);
    counter(event);
  };
}
