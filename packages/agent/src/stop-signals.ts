/** What a service manager, a terminal or a program in the guest sends to have the agent end. */
const stopSignals = ['SIGTERM', 'SIGINT'] as const;

/**
 * From now on, what such a signal does; the last who says so is the one. There is no moment between two of them: to PID 1
 * a signal that nobody listens to is lost, and any other process ends by it, whatever it has made.
 */
export function onStopSignal(act: (signal: NodeJS.Signals) => void): void {
  for (const signal of stopSignals) {
    const earlier = process.listeners(signal);
    process.on(signal, act);
    for (const listener of earlier) process.off(signal, listener);
  }
}
