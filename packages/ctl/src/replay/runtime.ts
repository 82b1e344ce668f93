import { type Phase, type RuntimeCall, runtimeCalls } from '@kata-agent/catalogue';

/** Kata's runtime in Go, or runtime-rs. */
export type Runtime = 'go' | 'rs';

/** What a runtime calls in a phase, in its order. */
export function callsOf(runtime: Runtime, phase: Phase): readonly RuntimeCall[] {
  return runtimeCalls[runtime].filter((row) => row.phase === phase);
}

/** How often a runtime asks whether the agent is alive, in milliseconds (Kata 4.1: monitor.go, health_check.rs). */
export const checkIntervalMs: Readonly<Record<Runtime, number>> = { go: 5_000, rs: 30_000 };

/** How long a runtime waits after GetOOMEvent failed, in milliseconds. */
export const oomPauseMs: Readonly<Record<Runtime, number>> = { go: 1_000, rs: 0 };
