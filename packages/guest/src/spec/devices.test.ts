import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestDevices } from '../device/guest-devices.js';
import type { GuestAccess } from '../guest-access.js';
import type { OciDevice, OciDeviceRule } from '../oci-spec.js';
import { type ContainerDevices, containerDevices } from './devices.js';
import { usualRules } from './usual-devices.js';

/** A guest with a TPM, whose numbers are not those of the host. */
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
): ContainerDevices {
  return containerDevices({ devices, rules }, { attached: [], access, guest });
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

test('the usual devices pass by path and number both', () => {
  const nodes = [node('/dev/null', 1, 3), node('/dev/ptmx', 5, 2), node('/dev/tty', 5, 0)];
  assert.deepEqual(made(nodes, [], refusing).devices, nodes);
  for (const other of [node('/dev/null', 10, 229), node('/dev/null', 1, 5), node('/dev/nul', 1, 3)])
    assert.throws(() => made([other], [], refusing), { kind: 'refused' }, other.path);
});

test('a device that the configuration names has the number of the guest’s own node, and may be opened', () => {
  const access = { privileged: 'refuse', devices: [{ kind: 'path', path: '/dev/fuse' }] } as const;
  const { devices, rules } = made([node('/dev/fuse', 99, 1)], [], access);
  assert.deepEqual(devices, [node('/dev/fuse', 10, 229)]);
  assert.deepEqual(rules, [{ allow: false, access: 'rwm' }, rule(10, 229)]);
  // A rule of the request is about the number that the request has for the node.
  assert.deepEqual(made([node('/dev/fuse', 99, 1)], [rule(99, 1, 'r')], access).rules.slice(1), [
    rule(10, 229, 'r'),
  ]);
  assert.throws(() => made([node('/dev/fuse2', 10, 229)], [], access), { kind: 'refused' });
  const gone = { privileged: 'refuse', devices: [{ kind: 'path', path: '/dev/gone' }] } as const;
  assert.throws(() => made([node('/dev/gone', 1, 3)], [], gone), { kind: 'precondition' });
  const byNumber = { privileged: 'refuse', devices: [{ kind: 'number', major: 10, minor: 232 }] } as const;
  assert.deepEqual(made([node('/dev/any', 10, 232)], [], byNumber).rules.slice(1), [rule(10, 232)]);
});

test('a device for evidence goes into no container, by name or by number, whoever names it', () => {
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

test('a rule for all devices is one for the usual ones, or for all but those for evidence', () => {
  for (const wide of [
    { allow: true, access: 'rwm' },
    { allow: true, type: 'a', major: -1, minor: -1 },
    rule(10, -1),
  ]) {
    assert.deepEqual(made([], [wide], refusing).rules, [{ allow: false, access: 'rwm' }, ...usualRules]);
    const open = made([], [wide], allowing).rules;
    const opens = (text: string): boolean => open.some(({ major, minor }) => `${major}:${minor}` === text);
    assert.ok(opens('10:232') && opens('10:229'));
    assert.ok(
      !opens('10:126') && !opens('253:65536') && !open.some(({ allow, major }) => allow && major === -1),
    );
  }
  const making = { allow: true, type: 'c', major: -1, minor: -1, access: 'm' };
  assert.deepEqual(made([], [making], refusing).rules.slice(1), [making]);
  assert.deepEqual(made([], [rule(136, -1)], refusing).rules.slice(1), [rule(136, -1)]);
});

test('what is no rule is refused', () => {
  assert.throws(() => made([], [{ ...rule(1, 3), access: 'x' }], refusing), { kind: 'invalid' });
  assert.throws(() => made([], [{ ...rule(1, 3), type: 'z' }], refusing), { kind: 'invalid' });
});
