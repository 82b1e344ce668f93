/** What a record's log is, outside its guest. */
export interface LogIdentity {
  /** The name of the agent, as its operator gave it to the collector. */
  readonly agent: string;
  /** The beginning of the hash of the first record that was collected, 32 hex digits: the name of the log in every sink. */
  readonly origin: string;
}
