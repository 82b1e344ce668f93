/** Bits of the guest policy (AMD 56860, "Guest Policy"). */
const migrationAgent = 1n << 18n;
const debug = 1n << 19n;
const mustBeOne = 1n << 17n;
/** Bits 26 to 63 have no meaning yet. */
const known = (1n << 26n) - 1n;

/** Returns why no guest with this policy is believed; undefined if it may be. */
export function policyFault(policy: bigint): string | undefined {
  const text = policyText(policy);
  if ((policy & debug) !== 0n)
    return `the policy ${text} lets the host debug the guest: read and write its memory`;
  if ((policy & migrationAgent) !== 0n)
    return `the policy ${text} allows a migration agent, which can move the guest`;
  if ((policy & mustBeOne) === 0n || (policy & ~known) !== 0n)
    return `reserved bits of the policy ${text} are wrong`;
  return undefined;
}

export function policyText(policy: bigint): string {
  return `0x${policy.toString(16)}`;
}
