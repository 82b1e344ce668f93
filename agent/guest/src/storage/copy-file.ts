import type { AdmittedCopy } from './copy-admission.js';
import { type RemovalContext, removeLater } from '../removal/remove-tree.js';

/** Copies as `copyFileHere`, in another thread: the host may have mounted its share there. */
export async function copyFile(copy: AdmittedCopy, context: Omit<RemovalContext, 'signal'>): Promise<void> {
  const { media, paths } = context;
  const { data, ...rest } = copy;
  const { left } = await media.run('copyFile', { copy: rest, kata: paths.kata }, [], data);
  for (const aside of left) removeLater(aside, context);
}
