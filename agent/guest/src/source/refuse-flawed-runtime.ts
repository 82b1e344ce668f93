import type { GuestAccess } from '../guest-access.js';
import type { GuestLog } from '../guest-log.js';
import { GuestError } from '../guest-error.js';
import type { Capabilities } from '../spec/security-labels.js';
import type { NamedSource } from './open-source.js';

/** File systems whose files the host can change at any time: virtiofs (FUSE) and 9p. */
const shares: ReadonlySet<number> = new Set([0x65735546, 0x01021997]);

/**
 * Refuses a root, or a layer of one, on a share of the host with a runtime that is vulnerable to a root that changes meanwhile (S12). An
 * overlay has its own file system type: its layers are checked when it is mounted, so that each layer of a root was.
 */
export async function refuseFlawedRuntime(
  source: NamedSource,
  {
    access,
    capabilities,
    log,
  }: {
    readonly access: GuestAccess;
    readonly capabilities: () => Promise<Pick<Capabilities, 'flaws'>>;
    readonly log: GuestLog;
  },
): Promise<void> {
  const { flaws } = await capabilities();
  if (flaws.length === 0) return;
  if (!shares.has(source.fileSystem)) return;
  const what = `the root ${source.path} is on a share of the host, and the OCI runtime is older than the fixes for ${flaws.join(', ')}`;
  if (access.privileged === 'allow') log('warn', what);
  else
    throw new GuestError(
      'precondition',
      `${what}; help: install a release with the fixes (docs/reference/oci-runtimes.md), or provide the root as a disk`,
    );
}
