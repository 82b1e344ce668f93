/** The first line of a script: its interpreter, and the one argument that the kernel passes to it. */
export interface Shebang {
  readonly program: string;
  readonly argument?: string;
}

/** The kernel reads BINPRM_BUF_SIZE bytes of a file, 256, and uses one less of a script. */
export const shebangBytes = 256;

/**
 * Parses the beginning of a script, which begins with `#!`. Undefined: the kernel does not execute it, or the path is not UTF-8. Blanks are
 * spaces and tabs only: a carriage return belongs to the path. All behind the path is one argument, with its blanks.
 *
 * Source: `load_script` in fs/binfmt_script.c of Linux 6.12.
 */
export function parseShebang(head: Buffer): Shebang | undefined {
  const used = head.subarray(2, shebangBytes - 1);
  const end = used.indexOf('\n');
  const isCut = end < 0 && head.length >= shebangBytes;
  const line = used.subarray(0, end < 0 ? used.length : end).toString('utf8');
  if (line.includes('\uFFFD')) return undefined;
  const [, program = '', behind = ''] = /^[ \t]*([^ \t\0]*)([^]*)$/.exec(line) ?? [];
  // Of an interpreter that does not end in the buffer the kernel would execute another.
  if (program === '' || (isCut && behind === '')) return undefined;
  const argument = (behind.split('\0')[0] ?? '').replace(/^[ \t]+|[ \t]+$/g, '');
  return argument === '' ? { program } : { program, argument };
}
