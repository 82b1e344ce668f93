import { GuestError } from '../guest-error.js';
import type { OciDevice, OciDeviceRule } from '../oci-spec.js';

const types: ReadonlySet<string> = new Set(['c', 'u', 'p']);

/** Character devices that are the guest's memory and ports: /dev/mem, /dev/kmem, /dev/port. */
const guestMemory: ReadonlySet<string> = new Set(['1:1', '1:2', '1:4']);

/** Device nodes of a request that runc may make (S11): no block device of the guest, not its memory. */
export function checkDevices(devices: readonly OciDevice[] | undefined): void {
  for (const { path, type, major, minor } of devices ?? []) {
    const named = `device ${JSON.stringify(path)} (${type} ${major}:${minor})`;
    if (type === 'b') {
      throw new GuestError('refused', `${named}: the guest's block devices do not go into containers`);
    }
    if (!types.has(type)) throw new GuestError('invalid', `${named}: the type must be c, u or p`);
    if (type !== 'p' && guestMemory.has(`${major}:${minor}`)) {
      throw new GuestError('refused', `${named} is the guest's own memory`);
    }
    if (!path.startsWith('/') || path.split('/').includes('..')) {
      throw new GuestError('invalid', `${named}: the path must be absolute, without ..`);
    }
  }
}

/**
 * Deny all, then what the spec may have (S11). An allow rule for all types, as a privileged container's, becomes one
 * for character devices; one for block devices is left out.
 */
export function deviceRules(requested: readonly OciDeviceRule[] | undefined): readonly OciDeviceRule[] {
  const rules: OciDeviceRule[] = [{ allow: false, access: 'rwm' }];
  for (const rule of requested ?? []) {
    const all = rule.type === undefined || rule.type === '' || rule.type === 'a';
    if (!rule.allow) {
      if (!all) rules.push(rule);
    } else if (all) {
      rules.push({ ...rule, type: 'c' });
    } else if (rule.type === 'c') {
      rules.push(rule);
    }
  }
  return rules;
}
