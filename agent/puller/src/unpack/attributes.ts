import { LayerError, quoted } from './layer-error.js';

/** What becomes of an extended attribute. */
type AttributeDecision = 'keep' | 'drop';

/** struct vfs_cap_data: version 2 has 20 bytes; version 3 has a root user too. */
const capabilityForms: ReadonlyMap<number, number> = new Map([
  [20, 0x02000000],
  [24, 0x03000000],
]);
const revisionMask = 0xff000000;
/** XATTR_SIZE_MAX, XATTR_NAME_MAX. */
const valueLength = 65_536;
const nameLength = 255;

/**
 * Decides about an attribute of an entry. File capabilities of regular files are kept, `user.*` too; overlayfs' own are
 * refused, because they would redirect or hide files below a later overlay; others (labels of the build machine, access
 * control lists) are dropped.
 */
export function decideAttribute(
  name: string,
  value: Buffer,
  entry: { readonly name: Buffer; readonly isFile: boolean; readonly isDirectory: boolean },
): AttributeDecision {
  const refuse = (reason: string): never => {
    throw new LayerError(
      'attribute',
      `${quoted(entry.name)}: attribute ${quoted(name)} ${reason}\nhelp: do not use this image`,
    );
  };
  if (/^(trusted|user)\.overlay\./.test(name)) refuse("is overlayfs' own");
  if (name.includes('\0') || Buffer.byteLength(name) > nameLength) refuse('has no valid name');
  if (value.length > valueLength) refuse(`has more than ${valueLength} bytes`);
  if (name === 'security.capability') {
    if (!entry.isFile) refuse('belongs to regular files only');
    const revision = value.length < 4 ? -1 : (value.readUInt32LE(0) & revisionMask) >>> 0;
    if (capabilityForms.get(value.length) !== revision) refuse('is no set of capabilities');
    return 'keep';
  }
  return name.startsWith('user.') && name.length > 'user.'.length && (entry.isFile || entry.isDirectory)
    ? 'keep'
    : 'drop';
}
