import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { applyFsGroup } from './fs-group.js';
import { kernelOptions, mountAt } from './mount-point.js';
import type { StorageDriver } from './storage-driver.js';
import { groupOption, option } from './storage-options.js';

const SETGID = 0o2000;

/** Memory: a tmpfs, as for emptyDir and /dev/shm, or huge pages. */
export const ephemeral: StorageDriver = {
  name: 'ephemeral',
  ofPod: true,
  async prepare(storage, context) {
    const fstype = storage.fstype === '' ? 'tmpfs' : storage.fstype;
    if (fstype !== 'tmpfs' && fstype !== 'hugetlbfs') {
      throw new GuestError(
        'refused',
        `ephemeral storage of file system ${JSON.stringify(fstype)}: tmpfs or hugetlbfs`,
      );
    }
    if (fstype === 'hugetlbfs') allocateHugePages(storage.options, context.paths.sys);
    mountAt({ source: fstype, fstype, options: ['nodev', ...kernelOptions(storage.options)] }, context);
    const group = groupOption(storage.options);
    if (group !== undefined) {
      const directory = context.base.directory(context.place);
      try {
        const mode = context.base.stat(context.place)?.mode ?? 0o755;
        context.base.changeOwner(context.place, -1, group);
        directory.changeMode((mode & 0o7777) | SETGID);
      } finally {
        directory.close();
      }
    }
    await applyFsGroup(storage, context);
  },
};

/** Options `pagesize=BYTES` and `size=BYTES`. The kernel may find fewer pages than it was asked for, and says so here. */
function allocateHugePages(options: readonly string[], sys: string): void {
  const pageSize = bytes(options, 'pagesize');
  const pages = bytes(options, 'size') / pageSize;
  const file = join(sys, `kernel/mm/hugepages/hugepages-${pageSize / 1024n}kB/nr_hugepages`);
  try {
    writeFileSync(file, String(pages), { flag: 'r+' });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    throw new GuestError('precondition', `this kernel has no huge pages of ${pageSize} bytes`, {
      cause: error,
    });
  }
  const allocated = readFileSync(file, 'utf8').trim();
  if (BigInt(allocated) < pages) {
    throw new GuestError(
      'exhausted',
      `only ${allocated} of ${pages} huge pages of ${pageSize} bytes are free`,
    );
  }
}

function bytes(options: readonly string[], name: string): bigint {
  const text = option(options, name);
  if (text === undefined || !/^[1-9]\d{0,17}$/.test(text)) {
    throw new GuestError(
      'invalid',
      `huge pages need ${name}= in bytes; there is ${JSON.stringify(text ?? 'none')}`,
    );
  }
  return BigInt(text);
}
