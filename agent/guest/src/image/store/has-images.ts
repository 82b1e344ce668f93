import { readdirSync } from 'node:fs';

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Reports whether the disk that is mounted at a directory has images. */
    readonly hasImages: (args: { readonly directory: string }) => boolean;
  }
}

/** Reports whether there is more on a disk than what making its file system left. */
export function hasImages(directory: string): boolean {
  return readdirSync(directory).some((name) => name !== 'lost+found');
}
