import { messageOf } from './caught.js';

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
