import { chmodSync, cpSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layerImage, partitionedDisk } from '../harness/layer-disks.js';
import { host } from './hotplug.js';

/** A guest extension image, as Kata's image builder writes it: a partition with erofs, and one with its hash tree. */
export interface ExtensionDisk {
  readonly path: string;
  readonly rootHash: string;
  /** The word that Kata's runtimes append to the kernel command line. */
  readonly kernelWord: string;
  /** Arguments of QEMU that attach it as the runtimes do. */
  readonly args: readonly string[];
}

const salt = 'cd'.repeat(32);

/** The PCI slot of the disk, which no other device of the tests uses. */
const slot = 0x1c;

/** The extension `devkit`: a shell for the debug console, which says where it is. */
export function devkitDisk(directory: string): ExtensionDisk {
  const content = join(directory, 'devkit');
  mkdirSync(join(content, 'bin'), { recursive: true });
  cpSync('/bin/busybox', join(content, 'bin/busybox.static'));
  writeFileSync(
    join(content, 'bin/devkit-sh'),
    '#!/run/kata-extensions/devkit/bin/busybox.static sh\necho the shell of devkit\nexec /run/kata-extensions/devkit/bin/busybox.static sh "$@"\n',
  );
  for (const program of ['busybox.static', 'devkit-sh']) chmodSync(join(content, 'bin', program), 0o755);
  const image = layerImage(directory, 'devkit', content);
  const tree = join(directory, 'devkit.hashes');
  writeFileSync(tree, '');
  const blocks = statSync(image).size / 4096;
  const printed = host(
    'veritysetup',
    'format',
    '--no-superblock',
    `--data-blocks=${blocks}`,
    `--salt=${salt}`,
    image,
    tree,
  );
  const rootHash = /^Root hash:\s+([0-9a-f]+)$/m.exec(printed)?.[1] ?? '';
  const path = partitionedDisk(directory, 'devkit-disk', [image, tree]);
  const sizes = 'data_block_size=4096,hash_block_size=4096';
  return {
    path,
    rootHash,
    kernelWord: `kata.extension.devkit.verity_params=root_hash=${rootHash},salt=${salt},data_blocks=${blocks},${sizes}`,
    args: [
      '-drive',
      `file=${path},if=none,id=extension-devkit,format=raw,readonly=on`,
      '-device',
      `virtio-blk-pci,drive=extension-devkit,serial=extension-devkit,addr=0x${slot.toString(16)}`,
    ],
  };
}
