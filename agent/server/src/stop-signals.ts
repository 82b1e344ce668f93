/** The signals with which a service manager, a terminal or a program stops the agent. */
const stopSignals = ['SIGTERM', 'SIGINT'] as const;

/**
 * Replaces the previous handler of these signals, without a gap: PID 1 loses a signal without a handler, and any other
 * process would end, whatever it has set up.
 */
export function onStopSignal(act: (signal: NodeJS.Signals) => void): void {
  for (const signal of stopSignals) {
    const earlier = process.listeners(signal);
    process.on(signal, act);
    for (const listener of earlier) process.off(signal, listener);
  }
}
