import { capabilities, guestCapabilities, sensitivePathOf, sensitivePaths } from '@kata-agent/catalogue';
import { sha256Hex, text } from './text.js';
import { printable, type ValueType } from './value-type.js';

// Access of containers to the guest (docs/configuration.md, "What containers may have of the guest"): an entry of each
// list.

const pathPattern = '(/(?!\\.{1,2}(/|$))[^/\\u0000-\\u001f\\u007f-\\u009f]+)+';

function matching(pattern: string): (text: string) => boolean {
  const whole = new RegExp(pattern, 'u');
  return (text) => whole.test(text);
}

/** Attestation devices (TPM, SEV-SNP, TDX): no configuration gives one to a container (S32). */
const evidencePattern = '(/dev/(tpm(rm)?\\d*|vtpmx|sev|sev-guest|tdx[_-]guest|tdx-attest)|c 10:224)$';

/** A CDI device: `vendor.com/class=name`. */
const cdiPattern =
  '[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?=[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?';

/**
 * `/dev/NAME`, `c MAJOR:MINOR`, or a CDI device. Block devices reach a container only by being attached (S11).
 */
const devicePattern = `^(?!${evidencePattern})(/dev${pathPattern}|c (0|[1-9]\\d{0,3}):(0|[1-9]\\d{0,6})|${cdiPattern})$`;
export const guestDevice: ValueType<string> = text({
  name: '"/dev/NAME", "c MAJOR:MINOR" or "VENDOR/CLASS=NAME"',
  pattern: devicePattern,
  what: 'a device such as "/dev/fuse", "c 10:200" or "nvidia.com/gpu=0", and not one for evidence such as "/dev/tpm0"',
  accept: matching(devicePattern),
});

const sensitivePattern = sensitivePaths.map(({ path, tree }) => `${path}${tree ? '(/|$)' : '$'}`).join('|');

/** A directory or file of the guest; the prefix `rw:` makes it writable for containers. */
const guestPathPattern = `^(?!rw:(${sensitivePattern}))(rw:)?${pathPattern}$`;
export const guestPath: ValueType<string> = text({
  name: '"/PATH" or "rw:/PATH"',
  pattern: guestPathPattern,
  what: (value) => {
    const sensitive = sensitivePathOf(value);
    return sensitive === undefined
      ? 'a path of the guest such as "/opt/models" or "rw:/var/cache"'
      : `a path where a container that writes is not root of the guest (${sensitive.path}: ${sensitive.way}; only privileged_containers = "allow" gives it)`;
  },
  accept: matching(guestPathPattern),
});

/** A network namespace of the guest, as `ip netns` names it. */
const networkNamespacePattern = `^${pathPattern}$`;
export const networkNamespace: ValueType<string> = text({
  name: '"/PATH"',
  pattern: networkNamespacePattern,
  what: 'the path of a network namespace such as "/run/netns/podns"',
  accept: matching(networkNamespacePattern),
});

/** A capability that keeps a process in its container. */
const containerCapabilities = capabilities.filter((name) => !guestCapabilities.has(name));
export const containerCapability: ValueType<string> = text({
  name: '"CAP_NAME"',
  pattern: `^(${containerCapabilities.join('|')})$`,
  what: (value) =>
    guestCapabilities.has(value)
      ? `a capability that keeps a process in its container (with ${value} ${guestCapabilities.get(value)}: only privileged_containers = "allow" gives it)`
      : 'a capability such as "CAP_NET_ADMIN"',
  accept: (value) => containerCapabilities.includes(value),
});

/** A module's name and exactly the parameters it may be loaded with, separated by single spaces. */
const modulePattern = '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}( [A-Za-z0-9][A-Za-z0-9_.-]*(=[^\\s"\'\\\\]*)?)*$';
export const kernelModule: ValueType<string> = text({
  name: '"MODULE PARAMETER=VALUE…"',
  pattern: modulePattern,
  what: 'a kernel module with its parameters, such as "nf_conntrack hashsize=65536"',
  accept: matching(modulePattern),
});

const sysctlPattern = '^[a-z][A-Za-z0-9_-]*(\\.[A-Za-z0-9_-]+)+$';
/** Reports whether the text is the dotted name of a sysctl. */
export const isSysctlName: (text: string) => boolean = matching(sysctlPattern);
export const sysctl: ValueType<string> = text({
  name: '"NAME.OF.SYSCTL"',
  pattern: sysctlPattern,
  what: 'the name of a sysctl, such as "net.core.somaxconn"',
  accept: isSysctlName,
});

/** `CONTAINER=MOUNT POINT`: the name of a container in its pod, and a clean path in it. */
const mountPattern = `^${printable('/=')}+=(/(?!\\.{1,2}(/|$))${printable('/')}+)+$`;

export const containerMount: ValueType<string> = text({
  name: '"CONTAINER=MOUNT POINT"',
  pattern: mountPattern,
  what: 'the name of a container in its pod and a mount point, such as "web=/data"',
  accept: (value) => /^[^/=\p{Cc}]+=(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u.test(value),
});

/** `NAME=sha256:HEX`: an extension image, and the root hash of its dm-verity device. */
const extensionPattern = `^[A-Za-z0-9_-]{1,64}=sha256:${sha256Hex}$`;

/** A guest extension image of Kata, with the only content that it may have. */
export const guestExtension: ValueType<string> = text({
  name: '"NAME=sha256:ROOT_HASH"',
  pattern: extensionPattern,
  what: 'a guest extension image with its root hash, such as "devkit=sha256:" and 64 hexadecimal digits in lower case',
  accept: (text) => new RegExp(extensionPattern).test(text),
});
