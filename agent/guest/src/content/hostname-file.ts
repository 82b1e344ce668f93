import { lineError, textLines } from './believed-text.js';

const file = '/etc/hostname';

/**
 * Checks that a file has the hostname of the sandbox, or any one if the sandbox has none. An empty file says nothing.
 *
 * @throws GuestError `refused`
 */
export function checkHostnameFile(bytes: Uint8Array, hostname: string): void {
  // It names no host.
  if (bytes.length === 0) return;
  const lines = textLines(bytes, file);
  const [line = { number: 1, text: '' }, second] = lines;
  if (second !== undefined) throw lineError(file, second, 'the file has one line', 'remove it');
  const fits = hostname === '' ? /^[A-Za-z0-9_.-]{0,255}$/.test(line.text) : line.text === hostname;
  if (fits) return;
  const expected =
    hostname === '' ? 'a hostname' : `the hostname of the sandbox, ${JSON.stringify(hostname)}`;
  throw lineError(file, line, `it is not ${expected}`, 'write the hostname that CreateSandbox has');
}
