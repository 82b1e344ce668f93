import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';

/** An emptyDir on a disk of its own needs no journal, no blocks kept for root, and few inodes. */
const ext4Options = ['-q', '-F', '-O', '^has_journal', '-m', '0', '-i', '163840', '-I', '128'];

/** Makes a file system on a fresh disk. Whatever is on it is gone. */
export async function makeFileSystem(disk: string, fstype: string, tools: Tools): Promise<void> {
  if (fstype !== 'ext4')
    throw new GuestError('invalid', `a fresh disk can be made ext4, not ${JSON.stringify(fstype)}`);
  const { status, stderr } = await tools.run({ program: 'mkfs.ext4', package: 'e2fsprogs' }, [
    ...ext4Options,
    disk,
  ]);
  if (status !== 0) throw new GuestError('internal', `mkfs.ext4 ${disk}: ${stderr}`);
}
