/** The signal of a call. It is made when it is first read, which takes up to a third of the time of a short call: read it only to wait. */
export interface CallSignal {
  readonly signal: AbortSignal;
}
