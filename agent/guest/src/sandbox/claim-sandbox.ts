import type { GuestPaths } from '../paths/guest-paths.js';
import { GuestError } from '../guest-error.js';

/** The claim to Kata's directory when several agents run on a machine. A guest keeps it until its process ends. */
export interface SandboxClaim {
  readonly held: boolean;
  /** Claims the directory. Undefined: the guest has it; otherwise a message that names the process that has it and a remedy. */
  take(directory: string): string | undefined;
}

export interface ClaimServices {
  /** Lock on `paths.kata`: taken before the first change, and before an earlier agent's state is restored. */
  readonly claim: SandboxClaim;
  readonly paths: GuestPaths;
}

/** Claims Kata's directory for this guest. Throws `precondition`, naming the process, if another agent has it. */
export function claimSandbox({ claim, paths }: ClaimServices): void {
  const refusal = claim.take(paths.kata);
  if (refusal !== undefined) throw new GuestError('precondition', refusal);
}
