import { dirname } from 'node:path';
import { type FileLayer, removeIfThere } from '../files/file-layer.js';

/** Writes a file so that a reader, also after a crash, has the whole old text or the whole new one. */
export async function replaceFile(path: string, text: string, files: FileLayer): Promise<void> {
  const next = `${path}.next`;
  await removeIfThere(next, files);
  const segment = await files.append(next, { fresh: true });
  try {
    for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(await segment.write(rest));
    await segment.datasync();
  } finally {
    await segment.close();
  }
  await files.rename(next, path);
  await files.syncDirectory(dirname(path));
}
