import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The name of the program in a bundle, beside the agent. */
const bundledProgram = 'kata-agent-media.mjs';

/** Returns the program of threads and processes for media of the host: in the package, or in a bundle beside the agent. */
export function mediaProgram(): URL {
  const ofPackage = new URL('../media-thread/thread.js', import.meta.url);
  if (existsSync(fileURLToPath(ofPackage))) return ofPackage;
  for (let path = dirname(fileURLToPath(import.meta.url)); ; path = dirname(path)) {
    const bundled = join(path, bundledProgram);
    if (existsSync(bundled)) return pathToFileURL(bundled);
    if (path === '/')
      throw new Error(`${bundledProgram} is missing beside the agent; help: install the agent again`);
  }
}
