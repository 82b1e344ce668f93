import { sha256Hex } from './sha256-hex.js';
import { text } from './text.js';
import type { ValueType } from './value-type.js';

/** `NAME=sha256:HEX`: an extension image, and the root hash of its dm-verity device. */
const extensionPattern = `^[A-Za-z0-9_-]{1,64}=sha256:${sha256Hex}$`;

/** A guest extension image of Kata, with the only content that it may have. */
export const guestExtension: ValueType<string> = text({
  name: '"NAME=sha256:ROOT_HASH"',
  pattern: extensionPattern,
  what: 'a guest extension image with its root hash, such as "devkit=sha256:" and 64 hexadecimal digits in lower case',
  accept: (text) => new RegExp(extensionPattern).test(text),
});
