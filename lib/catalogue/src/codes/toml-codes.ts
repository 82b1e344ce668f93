import type { CodeRow } from './code-row.js';

/** Codes for texts that are not valid TOML or not readable. */
export type TomlCode = 'KA1001' | 'KA1002' | 'KA1003' | 'KA1004' | 'KA1005' | 'KA1006' | 'KA1007';

export const tomlCodes: Readonly<Record<TomlCode, CodeRow>> = {
  KA1001: {
    title: 'text too large',
    explanation:
      'A document has at most 256 KiB, a policy of SetPolicy at most 32 KiB. A configuration needs a few KiB; a larger text is rejected before it is parsed.',
    example: { kind: 'described', text: 'head -c 300000 /dev/zero | tr "\\0" "#" > config.toml' },
    remedy: 'Write groups such as "@pod" instead of long lists, and remove unrelated text.',
  },
  KA1002: {
    title: 'text is not UTF-8',
    explanation:
      'A document is UTF-8 without a byte order mark. Other encodings are not guessed, and no byte is replaced or skipped, so that the parsed text is the hashed text.',
    example: { kind: 'described', text: "printf '\\xef\\xbb\\xbf[api]\\n' > config.toml" },
    remedy: 'Convert the file: iconv -f UTF-16 -t UTF-8, or remove its first three bytes.',
  },
  KA1003: {
    title: 'malformed TOML',
    explanation:
      'The text breaks the grammar of TOML 1.0. The parser stops at the first error, so the rest of the text is not checked.',
    example: { kind: 'document', document: '[api]\nallowed_endpoints = ["@pod"\n' },
    remedy: 'Correct the marked place; the help line names the usual cause.',
  },
  KA1004: {
    title: 'duplicate key or section',
    explanation:
      'TOML allows a key or a section once in its table. The agent does not guess which value applies.',
    example: {
      kind: 'document',
      document: '[agent]\nlog_level = "info"\nlog_level = "debug"\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Keep one of the two, and move the keys of a second section into the first.',
  },
  KA1005: {
    title: 'string without quotes',
    explanation: 'A value that is a word has to be quoted in TOML; only true, false and numbers are not.',
    example: {
      kind: 'document',
      document: '[agent]\nlog_level = info\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Write the value in quotes: log_level = "info". true and false are written in lower case.',
  },
  KA1006: {
    title: 'TOML nested too deeply',
    explanation:
      'Tables or lists are nested more than 32 levels deep, or a string is too long for the parser. No setting needs either.',
    example: { kind: 'document', document: `x = ${'['.repeat(40)}${']'.repeat(40)}\n` },
    remedy: 'Remove the nested value; docs/reference/settings.md has the form of each setting.',
  },
  KA1007: {
    title: 'too many errors',
    explanation: 'After 100 diagnostics of one text the others are not collected, and the text is rejected.',
    example: { kind: 'described', text: "{ echo '[agent]'; seq -f 'key%g = 1' 200; } > config.toml" },
    remedy: 'Fix the first ones, then check the file again.',
  },
};
