import type { LogVerifier, TreeHead, WitnessVerifier } from '@kata-agent/tlog';

/** The keys that the caller knows from elsewhere than the log. */
export interface TrustedKeys {
  /** The log's key. */
  readonly key: LogVerifier | undefined;
  readonly witnesses: readonly WitnessVerifier[];
  /** How many of the witnesses must have cosigned, at least 1. */
  readonly quorum: number;
  /** The tree that verified evidence binds to `key`. Absent: there is no evidence. */
  readonly bound?: TreeHead | undefined;
}

/**
 * What a checkpoint is worth (docs/trust.md, "The audit log"). The signature of the log alone proves nothing: anyone who writes the
 * log has its key.
 */
export type Trust =
  /** The key and the tree. */
  | { readonly kind: 'evidence' }
  | { readonly kind: 'witnesses'; readonly count: number }
  | { readonly kind: 'pinned' }
  | { readonly kind: 'self-signed' };

/** Evaluates a checkpoint with valid signatures. `problem` is undefined if the trust is what the caller demands. */
export function evaluateTrust(
  cosigned: number,
  { key, witnesses, quorum, bound }: TrustedKeys,
  head: TreeHead,
): { readonly trust: Trust; readonly problem: string | undefined } {
  const isCosigned = witnesses.length > 0 && cosigned >= quorum;
  const few =
    witnesses.length > 0 && !isCosigned ? `cosigned by ${cosigned} of ${quorum} witnesses` : undefined;
  if (key !== undefined && bound !== undefined) {
    if (bound.size === head.size && bound.root === head.root)
      return { trust: { kind: 'evidence' }, problem: few };
    const other = `the evidence binds another tree of this key, of ${bound.size} records: leave --checkpoint out to verify by that`;
    return { trust: { kind: 'pinned' }, problem: few ?? other };
  }
  if (isCosigned) return { trust: { kind: 'witnesses', count: cosigned }, problem: undefined };
  if (key !== undefined) return { trust: { kind: 'pinned' }, problem: few };
  const self = 'self-signed only: the writer of the log could have made it';
  return { trust: { kind: 'self-signed' }, problem: few ?? self };
}
