/** A guarantee of docs/security.md that depends on this agent's own work in the guest. */
export interface UnclaimedGuarantee {
  /** The id of its row. */
  readonly id: `S${number}`;
  /** What is not claimed, in a few words. */
  readonly what: string;
}

/**
 * What this agent does not claim when it forwards calls to another agent (`[agent] forward`), which does the work then. It is
 * shown at start, in the first audit record and by `explain`. docs/forward-mode.md has the reasons; rows of docs/security.md
 * that are not here hold as they are.
 */
export const unclaimedWithForward: readonly UnclaimedGuarantee[] = [
  { id: 'S5', what: 'output that nobody may read is not drained: its workload waits on a full pipe' },
  { id: 'S9', what: 'how paths of requests are resolved: the inner agent follows links in them' },
  { id: 'S11', what: 'that a container can open or create no other device than those of its request' },
  { id: 'S12', what: 'which descriptors and which version of a runtime containers get' },
  { id: 'S13', what: 'the order of changes, and what a failed one leaves' },
  { id: 'S17', what: 'limits on containers, execs and buffered output' },
  { id: 'S20', what: 'what a crash of the inner agent leaves, and its OOM score' },
  { id: 'S21', what: "the inner agent's own debug console and log port" },
  {
    id: 'S23',
    what: 'what the inner agent reads of the kernel command line, unless it is started with --config',
  },
  { id: 'S29', what: 'what the sources of mounts are, where the host is trusted with them' },
  { id: 'S30', what: 'the propagation of mounts, and what a failed call leaves' },
  { id: 'S32', what: 'what CDI specifications of the guest give to a container' },
  {
    id: 'S33',
    what: 'members that a request leaves out: the inner agent completes it after the rules saw it',
  },
  { id: 'S35', what: 'the order of containers: rules cannot use sandbox' },
  { id: 'S36', what: 'that a container or a failing call delays no other' },
  { id: 'S37', what: 'that the clock stays above its floor and goes only forward' },
];
