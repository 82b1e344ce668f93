/** Reports the first event and then each doubling: a persistent peer must not fill the log. */
export function rarely(report: (times: number, peer?: string) => void): (peer?: string) => void {
  let times = 0;
  return (peer) => {
    times += 1;
    if (Number.isInteger(Math.log2(times))) report(times, peer);
  };
}
