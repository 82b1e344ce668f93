import type { AdmittedCopy } from './copy-admission.js';
import { type RemovalContext, removeLater } from '../removal/remove-tree.js';

/** Copies as `copyFileHere`, in another thread: the host may have mounted its share there. */
export async function copyFile(copy: AdmittedCopy, context: Omit<RemovalContext, 'signal'>): Promise<void> {
  const { media, paths } = context;
  const { left } = await media.run('copyFile', { copy, kata: paths.kata });
  for (const aside of left) removeLater(aside, context);
}
