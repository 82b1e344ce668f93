import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GroupName, groups, isMethodName, type MethodName, membersOf, releases } from './index.js';
import { cameBy, existedIn } from './members.js';

// R16: under a pin, a later method is never served by accident.

test('a method without a release, or with an unknown one, is not served under any pin', () => {
  for (const pin of [...releases, '99.0'])
    for (const since of [undefined, '', 'next', '4.2', '4.2.0', '99.0', '3', 'v3.21', '3.21-rc0'])
      assert.equal(cameBy(since, pin), false, `${since} under ${pin}`);
  assert.throws(() => cameBy(undefined, 'newest'), RangeError);
});

test('a method that the catalogue does not know is not served under any pin', () => {
  for (const name of ['StealSecrets', 'toString', '__proto__', 'constructor']) {
    assert.equal(isMethodName(name), false);
    for (const pin of releases) assert.equal(existedIn(name as MethodName, pin), false, name);
  }
});

test('a method is served from its release on, and not before', () => {
  for (const [index, since] of releases.entries())
    for (const [at, pin] of releases.entries()) assert.equal(cameBy(since, pin), index <= at);
});

/**
 * The members of each group in 2.0.0, and those that later releases of Kata added. Configurations with a pin were
 * reviewed and measured with these members, so they must not change: adding a method of an old release to a group would
 * serve it under existing configurations.
 */
const first: { readonly [G in GroupName]: readonly string[] } = {
  '@pod': [
    'CreateSandbox',
    'DestroySandbox',
    'GetGuestDetails',
    'UpdateInterface',
    'UpdateRoutes',
    'AddARPNeighbors',
    'CreateContainer',
    'OnlineCPUMem',
    'StartContainer',
    'WaitProcess',
    'SignalProcess',
    'RemoveContainer',
    'GetOOMEvent',
  ],
  '@exec': ['ExecProcess'],
  '@stdio': ['ReadStdout', 'ReadStderr', 'WriteStdin', 'CloseStdin', 'TtyWinResize'],
  '@logs': ['ReadStdout', 'ReadStderr'],
  '@stats': ['StatsContainer', 'GetMetrics'],
  '@network': ['ListInterfaces', 'ListRoutes'],
  '@iptables': [],
  '@resize': ['UpdateContainer', 'MemHotplugByProbe'],
  '@swap': [],
  '@memory': [],
  '@pause': ['PauseContainer', 'ResumeContainer'],
  '@copy': ['CopyFile'],
  '@volumes': [],
  '@diagnostics': [],
  '@template': ['ReseedRandomDev', 'SetGuestDateTime'],
  '@policy': [],
};
const brought: readonly (readonly [string, GroupName, readonly string[]])[] = [
  ['2.2.0', '@swap', ['AddSwap']],
  ['2.4.0', '@volumes', ['GetVolumeStats', 'ResizeVolume']],
  ['2.5.0', '@iptables', ['GetIPTables', 'SetIPTables']],
  ['3.2.0', '@pod', ['RemoveStaleVirtiofsShareMounts']],
  ['3.2.0', '@resize', ['UpdateEphemeralMounts']],
  ['3.3.0', '@policy', ['SetPolicy']],
  ['3.13.0', '@memory', ['MemAgentMemcgSet', 'MemAgentCompactSet']],
  ['3.15.0', '@swap', ['AddSwapPath']],
  ['3.29.0', '@diagnostics', ['GetDiagnosticData']],
];

test('the members of a group under a pin never change', () => {
  const now = new Map(Object.entries(first).map(([name, methods]) => [name, new Set(methods)]));
  for (const release of releases) {
    for (const [since, name, methods] of brought)
      if (since === release) for (const method of methods) now.get(name)?.add(method);
    for (const name of groups.keys())
      assert.deepEqual(
        [...membersOf(name, release)].sort(),
        [...(now.get(name) ?? [])].sort(),
        `${name} in ${release}`,
      );
  }
});
