import { fileURLToPath } from 'node:url';

/**
 * Returns the script of the page, as one file for browsers. A bundle of kata-agent-ctl has this text instead of the function that makes
 * it (guest-image/bundle), and no bundler.
 */
export async function pageScript(): Promise<string> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page/main.js', import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    charset: 'ascii',
  });
  return outputFiles.map(({ text }) => text).join('');
}
