import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CannotApply } from '../cannot-apply.js';
import { extensionRoot } from './component.js';
import { type Manifest, parseManifest } from './manifest.js';

/**
 * Reads the manifest of the extension image; undefined: there is none, and the components are those of the guest image.
 *
 * @throws CannotApply if the image has no manifest, or a wrong one: other programs would be started than it brings.
 */
export function readExtension(): Manifest | undefined {
  const root = extensionRoot;
  if (!existsSync(root)) return undefined;
  const file = join(root, 'etc/kata-extensions/components.toml');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new CannotApply(
      `the extension image at ${root} has no readable manifest: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
        help: 'remove it from guest_extension_images, or build it with etc/kata-extensions/components.toml',
      },
    );
  }
  return parseManifest(bytes, file, root);
}
