/** What a call is good for, in the words of somebody who runs pods. */
export type Feature =
  | 'start'
  | 'network'
  | 'out-of-memory events'
  | 'exit codes'
  | 'exec probes'
  | 'lifecycle hooks'
  | 'files without a shared filesystem'
  | 'standard input'
  | 'terminal'
  | 'logs'
  | 'attach'
  | 'termination message'
  | 'stop'
  | 'end of the sandbox'
  | 'exec'
  | 'figures'
  | 'resize';
