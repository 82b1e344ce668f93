import { type Phase, type RuntimeCall, runtimeCalls } from '@kata-agent/catalogue';

/** Kata's Go runtime, or runtime-rs. */
export type Runtime = 'go' | 'rs';

/** Returns the calls of a runtime in a phase, in order. */
export function callsOf(runtime: Runtime, phase: Phase): readonly RuntimeCall[] {
  return runtimeCalls[runtime].filter((row) => row.phase === phase);
}

/** The interval of a runtime's health checks, in milliseconds (Kata 4.1: monitor.go, health_check.rs). */
export const checkIntervalMs: Readonly<Record<Runtime, number>> = { go: 5_000, rs: 30_000 };

/** The delay of a runtime after a failed GetOOMEvent, in milliseconds. */
export const oomPauseMs: Readonly<Record<Runtime, number>> = { go: 1_000, rs: 0 };
