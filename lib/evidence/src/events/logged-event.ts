/** An event of a log. */
export interface LoggedEvent {
  readonly register: number;
  /** By the name of the bank, in hex. */
  readonly digests: Readonly<Record<string, string>>;
  readonly type: number;
  readonly data: Uint8Array;
}

/** TCG PC Client Platform Firmware Profile, 10.4.1. */
export const eventType = { noAction: 3, eventTag: 6 } as const;
