import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestDevices } from '../device/guest-devices.js';
import type { GuestAccess } from '../guest-access.js';
import type { OciDevice, OciDeviceRule } from '../request/oci-spec.js';
import { type BoundDevice, checkDeviceRules, defaultDeviceRules } from './device-rules.js';
import { checkDevice, type ContainerDevices, containerDevices, translateDevices } from './devices.js';

/** A guest with a TPM, whose device numbers differ from the host's. */
const names: Readonly<Record<string, string>> = {
  '1:3': 'null',
  '10:229': 'fuse',
  '10:232': 'kvm',
  '10:126': 'sev-guest',
  '253:65536': 'tpmrm0',
};
const guest: GuestDevices = {
  numberOf: (path) => (path === '/dev/fuse' ? { major: 10, minor: 229 } : undefined),
  nameOf: ({ major, minor }) => names[`${major}:${minor}`],
  list: () =>
    Object.keys(names).map((text) => {
      const [major = 0, minor = 0] = text.split(':').map(Number);
      return { major, minor };
    }),
};

function made(
  devices: readonly OciDevice[],
  rules: readonly OciDeviceRule[],
  access: Pick<GuestAccess, 'privileged' | 'devices'>,
  bound: readonly BoundDevice[] = [],
): ContainerDevices {
  const context = { attached: [], bound, injected: [], access: { sysctls: [], ...access }, guest };
  for (const device of devices) checkDevice(device, context);
  checkDeviceRules(rules, translateDevices(devices, context), context);
  return containerDevices({ devices, rules }, context);
}

const refusing = { privileged: 'refuse', devices: [] } as const;
const allowing = { privileged: 'allow', devices: [] } as const;
const node = (path: string, major: number, minor: number, type = 'c'): OciDevice => ({
  path,
  type,
  major,
  minor,
});
const rule = (major: number, minor: number, access = 'rwm'): OciDeviceRule => ({
  allow: true,
  type: 'c',
  major,
  minor,
  access,
});

test('default devices must match by path and number', () => {
  const nodes = [node('/dev/null', 1, 3), node('/dev/ptmx', 5, 2), node('/dev/tty', 5, 0)];
  assert.deepEqual(made(nodes, [], refusing).devices, nodes);
  for (const other of [node('/dev/null', 10, 229), node('/dev/null', 1, 5), node('/dev/nul', 1, 3)])
    assert.throws(() => made([other], [], refusing), { kind: 'refused' }, other.path);
});

test('a device of the configuration gets the number of the guest’s node, and access', () => {
  const access = { privileged: 'refuse', devices: [{ kind: 'path', path: '/dev/fuse' }] } as const;
  const { devices, rules } = made([node('/dev/fuse', 99, 1)], [], access);
  assert.deepEqual(devices, [node('/dev/fuse', 10, 229)]);
  assert.deepEqual(rules, [{ allow: false, access: 'rwm' }, rule(10, 229)]);
  // A rule of the request uses the number that the request's node has.
  assert.deepEqual(made([node('/dev/fuse', 99, 1)], [rule(99, 1, 'r')], access).rules.slice(1), [
    rule(10, 229, 'r'),
  ]);
  assert.throws(() => made([node('/dev/fuse2', 10, 229)], [], access), { kind: 'refused' });
  const gone = { privileged: 'refuse', devices: [{ kind: 'path', path: '/dev/gone' }] } as const;
  assert.throws(() => made([node('/dev/gone', 1, 3)], [], gone), { kind: 'precondition' });
  const byNumber = { privileged: 'refuse', devices: [{ kind: 'number', major: 10, minor: 232 }] } as const;
  assert.deepEqual(made([node('/dev/any', 10, 232)], [], byNumber).rules.slice(1), [rule(10, 232)]);
});

test('devices for attestation are refused by name and number, also if the configuration names them', () => {
  for (const access of [
    refusing,
    allowing,
    { privileged: 'allow', devices: [{ kind: 'number', major: 10, minor: 126 }] } as const,
    { privileged: 'refuse', devices: [{ kind: 'path', path: '/dev/tpm0' }] } as const,
  ]) {
    for (const device of [
      node('/dev/tpm0', 10, 224),
      node('/dev/x', 10, 224),
      node('/dev/x', 253, 65_536),
      node('/dev/x', 10, 126, 'u'),
      node('/dev/sev-guest', 1, 3),
      node('/dev//tpmrm0', 1, 3),
      node('/dev/tdx_guest', 10, 1),
    ])
      assert.throws(() => made([device], [], access), { name: 'GuestError' }, device.path);
    assert.throws(() => made([], [rule(10, 224)], access), { kind: 'refused' });
    assert.throws(() => made([], [rule(253, 65_536, 'r')], access), { kind: 'refused' });
  }
});

test('a rule for all devices becomes one for the default devices, or for all except those for attestation', () => {
  for (const wide of [
    { allow: true, access: 'rwm' },
    { allow: true, type: 'a', major: -1, minor: -1 },
    rule(10, -1),
  ]) {
    assert.deepEqual(made([], [wide], refusing).rules, [
      { allow: false, access: 'rwm' },
      ...defaultDeviceRules,
    ]);
    const open = made([], [wide], allowing).rules;
    const opens = (text: string): boolean => open.some(({ major, minor }) => `${major}:${minor}` === text);
    assert.ok(opens('10:232') && opens('10:229'));
    assert.ok(
      !opens('10:126') &&
        !opens('253:65536') &&
        !open.some(({ allow, major }) => allow && major === undefined),
    );
  }
});

test('a number of -1, which means all, is omitted: crun on cgroup v1 would write it to the kernel', () => {
  const making = { allow: true, type: 'c', access: 'm' };
  assert.deepEqual(made([], [{ ...making, major: -1, minor: -1 }], refusing).rules.slice(1), [making]);
  const terminals = { allow: true, type: 'c', major: 136, access: 'rwm' };
  assert.deepEqual(made([], [rule(136, -1)], refusing).rules.slice(1), [terminals]);
});

test('invalid rules are refused', () => {
  assert.throws(() => made([], [{ ...rule(1, 3), access: 'x' }], refusing), { kind: 'invalid' });
  assert.throws(() => made([], [{ ...rule(1, 3), type: 'z' }], refusing), { kind: 'invalid' });
});

test('a bound character device gets a rule, unless it is for evidence or the guest’s memory', () => {
  const bind = (major: number, minor: number, writable = true): BoundDevice => ({ major, minor, writable });
  const rules = (...bound: BoundDevice[]) => made([], [], allowing, bound).rules;
  const none = { allow: false, access: 'rwm' };
  assert.deepEqual(rules(bind(10, 229), bind(10, 232, false)), [
    none,
    rule(10, 229, 'rw'),
    rule(10, 232, 'r'),
  ]);
  const evidence = [bind(10, 126), bind(10, 224), bind(253, 65536)];
  const memory = [bind(1, 1), bind(1, 2), bind(1, 4)];
  for (const other of [bind(1, 3), ...evidence, ...memory])
    assert.deepEqual(rules(other), [none], `${other.major}:${other.minor}`);
});
