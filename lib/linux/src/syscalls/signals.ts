/** Ends a process, which cannot handle it. */
export const SIGKILL = 9;
/** Asks a process to end. */
export const SIGTERM = 15;
