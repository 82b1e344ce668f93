import { LayerError, quoted } from './layer-error.js';
import type { UnpackLimits } from './limits.js';

/** A name below the root: its components, as Latin-1 text, which keeps each byte. Empty for the root itself. */
export type EntryName = readonly string[];

/** NAME_MAX. */
const componentLength = 255;

/**
 * Cleans a name: a leading `/`, `.` and empty components are dropped. Refuses `..`, NUL, a newline, and what is longer or
 * deeper than allowed.
 */
export function entryName(name: Buffer, limits: Pick<UnpackLimits, 'depth' | 'nameLength'>): EntryName {
  const refuse = (reason: string): never => {
    throw new LayerError('name', `${quoted(name)} ${reason}\nhelp: do not use this image`);
  };
  if (name.length === 0) refuse('is no name');
  if (name.length > limits.nameLength) refuse(`has more than ${limits.nameLength} bytes`);
  if (name.includes(0) || name.includes(0x0a)) refuse('contains a NUL or a newline');
  const components = name
    .toString('latin1')
    .split('/')
    .filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) refuse('contains ".."');
  if (components.length > limits.depth) refuse(`has more than ${limits.depth} components`);
  if (components.some((component) => component.length > componentLength))
    refuse(`has a component of more than ${componentLength} bytes`);
  return components;
}
