// The end of one run of QEMU, and its reason.

/** Why a run ended. `text` is for messages. */
export type EndReason =
  /** QEMU stopped the machine in a state from which it does not continue. */
  | { readonly kind: 'stopped'; readonly state: string; readonly text: string }
  /** The guest's kernel panicked. */
  | { readonly kind: 'panicked'; readonly text: string }
  /** QEMU did not respond to a command. */
  | { readonly kind: 'unresponsive'; readonly text: string }
  /** The guest exceeded a time limit. */
  | { readonly kind: 'hung'; readonly text: string }
  /** QEMU exited, or did not start. */
  | { readonly kind: 'exited'; readonly text: string }
  /** The user of the machine killed it. */
  | { readonly kind: 'killed' };

/** How the process of QEMU ended. */
export interface Ending {
  /** The exit code; null after a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly reason?: EndReason;
}

/** Why a machine ended, unless the guest powered off or the user of the machine killed it. */
export type Failure = Exclude<EndReason, { readonly kind: 'killed' }>;
