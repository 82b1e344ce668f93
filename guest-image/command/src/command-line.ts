import { accessSync, constants, mkdirSync, type Stats, statSync } from 'node:fs';

import { dirname, resolve } from 'node:path';

import { parseArgs, type ParseArgsConfig } from 'node:util';

const help = { help: { type: 'boolean', short: 'h' } } as const;

/** The size of `sun_path` (unix(7)) in bytes, without the terminating NUL. */
const maxSocketPath = 107;

/** The options of a run that only prints its usage. */
interface Help {
  readonly help: true;
}

/**
 * Returns the options of this process's command line. Prints the usage and exits with 0 for --help; for an
 * error that `parse` throws, prints it with the usage and exits with 2.
 */
export function commandLine<T extends { readonly help?: boolean | undefined }>(
  usage: string,
  parse: (words: readonly string[]) => T,
): Exclude<T, Help> {
  const options = parseOrExit(usage, parse);
  if (options.help !== true) return options as Exclude<T, Help>;
  console.log(usage);
  process.exit(0);
}

function parseOrExit<T>(usage: string, parse: (words: readonly string[]) => T): T {
  try {
    return parse(process.argv.slice(2));
  } catch (error) {
    console.error(`${messageOf(error)}\n\n${usage}`);
    process.exit(2);
  }
}

// Parses and checks the options of the tools' commands before anything is built. Errors name the option.

type Options = NonNullable<ParseArgsConfig['options']>;

/** The values of the options, by name, and the positional arguments. */
type ParsedOptions<O extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O & typeof help; allowPositionals: boolean }>
>;

/** Parses options and positional arguments, and adds `--help` with the short form `-h`. Throws for wrong usage. */
export function parseOptions<const O extends Options>(
  args: readonly string[],
  options: O,
  { allowPositionals = false }: { readonly allowPositionals?: boolean } = {},
): ParsedOptions<O> {
  const parsed = parseArgs({ args: [...args], options: { ...options, ...help }, allowPositionals });
  for (const [name, value] of Object.entries(parsed.values))
    if ([value].flat().some((one) => one === '')) throw new Error(`--${name}: the value is empty`);
  return parsed;
}

/** Returns the absolute path of an existing, readable file. */
export function existingFile(option: string, path: string): string {
  if (statExisting(option, path).isDirectory())
    throw new Error(`${option} ${path}: this is a directory, not a file`);
  return accessible(option, path, constants.R_OK, 'read');
}

/** Returns the absolute path of an existing directory. */
export function existingDirectory(option: string, path: string): string {
  if (!statExisting(option, path).isDirectory())
    throw new Error(`${option} ${path}: this is not a directory`);
  return resolve(path);
}

function accessible(option: string, path: string, mode: number, operation: string): string {
  try {
    accessSync(path, mode);
  } catch (error) {
    throw new Error(`${option} ${path}: this user cannot ${operation} it (${codeOf(error)})`, {
      cause: error,
    });
  }
  return resolve(path);
}

function statExisting(option: string, path: string): Stats {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`${option} ${path}: no such file or directory`);
  return stat;
}

/** Returns the absolute path of a file to write, whose directory exists. */
export function outputFile(option: string, path: string): string {
  existingDirectory(option, dirname(resolve(path)));
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`${option} ${path}: this is a directory, not a file`);
  return resolve(path);
}

/** Parses an integer from 1 to 999,999,999. */
export function positiveInteger(option: string, text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text))
    throw new Error(`${option} ${text}: this is not an integer from 1 to 999999999`);
  return Number(text);
}

/**
 * Returns the absolute path of a directory in which a unix socket of this name has an address that is short
 * enough.
 */
export function socketDirectory(option: string, path: string, name: string): string {
  const bytes = Buffer.byteLength(`${resolve(path)}/${name}`);
  if (bytes > maxSocketPath)
    throw new Error(
      `${option} ${path}: the path of ${name} in it has ${bytes} bytes; the path of a socket has at most ${maxSocketPath}`,
    );
  return resolve(path);
}

/**
 * Creates a directory and its parents if they do not exist, checks that it is writable, and returns its
 * absolute path.
 */
export function createDirectory(option: string, path: string): string {
  createWithParents(option, path);
  return accessible(option, path, constants.W_OK, 'write to');
}

/** Does not use `recursive`, which never returns on a file system that cannot create directories (/proc). */
function createWithParents(option: string, path: string): void {
  const parent = dirname(path);
  if (parent !== path && statSync(parent, { throwIfNoEntry: false }) === undefined)
    createWithParents(option, parent);
  try {
    mkdirSync(path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && statSync(path).isDirectory()) return;
    throw new Error(`${option} ${path}: cannot create the directory: ${messageOf(error)}`, { cause: error });
  }
}

// Code and message of a caught value, which can be of any type.

/** Returns the error's code, such as the `ENOENT` of Node.js's system errors, or undefined. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** Returns the error's message, or the value as a string if it is not an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
