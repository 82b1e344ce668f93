// What people write behind `npm run image --` and `npm run vm --`: looked at before anything is built, so that a wrong
// word is known at once and by its option's name.
import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** Of a path in a unix socket's address (unix(7)), without the zero byte at its end. */
const maxSocketPath = 107;

/** The options and positional words; throws an error whose text is for people. `-h` is --help. */
export function readOptions(args, options, more = {}) {
  const parsed = parseArgs({ args, options: { ...options, help: { type: 'boolean', short: 'h' } }, ...more });
  for (const [name, value] of Object.entries(parsed.values))
    if ([value].flat().includes('')) throw new Error(`--${name}: its value is empty`);
  return parsed;
}

/** The path of a file that is there, and can be read. */
export function existingFile(option, path) {
  if (look(option, path).isDirectory()) throw new Error(`${option} ${path}: this is a folder, not a file`);
  return allowed(option, path, constants.R_OK, 'read');
}

/** The path of a folder that is there. */
export function existingFolder(option, path) {
  if (!look(option, path).isDirectory()) throw new Error(`${option} ${path}: this is no folder`);
  return resolve(path);
}

function allowed(option, path, mode, what) {
  try {
    accessSync(path, mode);
  } catch (error) {
    throw new Error(`${option} ${path}: this user may not ${what} it (${error.code})`, { cause: error });
  }
  return resolve(path);
}

function look(option, path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`${option} ${path}: there is no such file or folder`);
  return stat;
}

/** The path of a file that will be written: its folder is there. */
export function fileToWrite(option, path) {
  existingFolder(option, dirname(resolve(path)));
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`${option} ${path}: this is a folder, not a file`);
  return resolve(path);
}

/** A number above 0. */
export function wholeNumber(option, text) {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new Error(`${option} ${text}: this is no whole number above 0`);
  return Number(text);
}

/** The path of a folder that has room for the address of a socket of this name. */
export function folderForSocket(option, path, name) {
  const bytes = Buffer.byteLength(`${resolve(path)}/${name}`);
  if (bytes > maxSocketPath)
    throw new Error(
      `${option} ${path}: ${name} in it would have a path of ${bytes} bytes, and a socket's has ${maxSocketPath} at most`,
    );
  return resolve(path);
}

/** Makes a folder that can be written to, and those above it. */
export function makeFolder(option, path) {
  makeFolders(option, path);
  return allowed(option, path, constants.W_OK, 'write to');
}

/** Not by `recursive`, which goes round for ever where a file system takes no folders (/proc). */
function makeFolders(option, path) {
  const above = dirname(path);
  if (above !== path && statSync(above, { throwIfNoEntry: false }) === undefined) makeFolders(option, above);
  try {
    mkdirSync(path);
  } catch (error) {
    if (error.code === 'EEXIST' && statSync(path).isDirectory()) return;
    throw new Error(`${option} ${path}: cannot be made a folder: ${error.message}`, { cause: error });
  }
}
