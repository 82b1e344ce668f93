import type { CompletedWord, CompletionRow } from './completion-table.js';

/** The shells that have a script. */
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/**
 * Returns a script for a shell that completes the command line of a program: commands, options, and values where they are
 * known; files elsewhere. The script has all words in it, since a start of the program at each key would be felt.
 */
export function completionScript(shell: Shell, program: string, table: readonly CompletionRow[]): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](program, table);
}

/**
 * Bash splits words at `=` and `:`, so the parts of `--format=json` and of `unix:///x` are words of their own.
 * (GNU Bash manual, Programmable Completion.)
 */
function bashScript(program: string, table: readonly CompletionRow[]): string {
  const name = functionName(program);
  return `# Completion of ${program} for bash: source it, or put it into ~/.local/share/bash-completion/completions/${program}
${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" place='' option='' words='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    option=''
${cases(
  '    ',
  '"$place ${COMP_WORDS[i]}"',
  walk(
    table,
    'option="${COMP_WORDS[i]}"; ((i++)); [[ ${COMP_WORDS[i]} == \'=\' ]] && ((i++))',
    (place) => `place=${place}`,
  ),
)}
  done
  if ((i == COMP_CWORD)); then option=''; fi
  if [[ $current == '=' ]]; then current=''; fi
  if [[ -n $option ]]; then
${cases(
  '    ',
  '"$place $option"',
  valueRows(table).map(({ places, values }) => [places, `words=${quoted(values.join(' '))}`]),
)}
  elif [[ $current == -* ]]; then
${cases(
  '    ',
  '"$place"',
  table.map((row) => [[row.path], `words=${quoted(optionNames(row).join(' '))}`]),
)}
  else
${cases(
  '    ',
  '"$place"',
  table
    .filter(hasWords)
    .map((row) => [[row.path], `words=${quoted(row.words.map(({ word }) => word).join(' '))}`]),
)}
  fi
  [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o bashdefault -o default -F ${name} ${program}
`;
}

/** (zsh manual, Completion System and Completion Widgets.) */
function zshScript(program: string, table: readonly CompletionRow[]): string {
  const name = functionName(program);
  const described = (list: readonly CompletedWord[]): string =>
    list.map(({ word, description }) => quoted(`${word.replaceAll(':', '\\:')}:${description}`)).join(' ');
  return `#compdef ${program}
# Completion of ${program} for zsh: put it into a directory of $fpath as _${program}, or source it after compinit
${name}() {
  local place='' option='' i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    option=''
${cases(
  '    ',
  '"$place $words[i]"',
  walk(table, 'option="$words[i]"; ((i++))', (place) => `place=${place}`),
)}
  done
  if ((i == CURRENT)); then option=''; fi
  if [[ -n $option ]]; then
${cases(
  '    ',
  '"$place $option"',
  valueRows(table).map(({ places, values }) => [places, `found=(${values.map(quoted).join(' ')})`]),
)}
    if ((\${#found})); then compadd -a found; else _files; fi
  elif [[ $PREFIX == -* ]]; then
${cases(
  '    ',
  '"$place"',
  table.map((row) => [
    [row.path],
    `found=(${described(row.options.flatMap(({ names, description }) => names.map((word) => ({ word, description }))))})`,
  ]),
)}
    _describe option found
  else
${cases(
  '    ',
  '"$place"',
  table.filter(hasWords).map((row) => [[row.path], `found=(${described(row.words)})`]),
)}
    if ((\${#found})); then _describe command found; else _files; fi
  fi
}
if [[ $funcstack[1] == _${program} ]]; then ${name} "$@"; else compdef ${name} ${program}; fi
`;
}

/** (fish manual, complete.) */
function fishScript(program: string, table: readonly CompletionRow[]): string {
  const name = functionName(program);
  const walked = walk(table, 'set value 1', (place) => `set place ${place}`).map(
    ([places, action]) => `            case ${places.map(quoted).join(' ')}\n                ${action}\n`,
  );
  const lines = table.flatMap((row) => {
    const at = `complete -c ${program} -n "${name} ${quoted(row.path)}"`;
    return [
      ...(hasWords(row) ? [`${at} -f`] : []),
      ...row.words.map(({ word, description }) => `${at} -a ${quoted(word)} -d ${quoted(description)}`),
      ...row.options.map(({ names, description, takesValue, values }) => {
        const options = names.map((each) =>
          each.startsWith('--') ? `-l ${each.slice(2)}` : `-s ${each.slice(1)}`,
        );
        const value = values.length > 0 ? ` -x -a ${quoted(values.join(' '))}` : takesValue ? ' -r -F' : '';
        return `${at} ${options.join(' ')}${value} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# Completion of ${program} for fish: put it into ~/.config/fish/completions/${program}.fish
function ${name}
    set -l place ''
    set -l value 0
    for word in (commandline -opc)[2..-1]
        if test $value = 1
            set value 0
            continue
        end
        switch "$place $word"
${walked.join('')}        end
    end
    test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}

type Case = readonly [places: readonly string[], action: string];

/**
 * What each word of a line does to the place in the table, in the language of a shell: `skipValue` after an option with a value,
 * `enter` for the quoted place of a command. Words that are not in the table are operands.
 */
function walk(
  table: readonly CompletionRow[],
  skipValue: string,
  enter: (place: string) => string,
): readonly Case[] {
  const withValue = table.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ names }) => names.map((each) => `${path} ${each}`)),
  );
  return [
    [withValue, skipValue],
    ...table.slice(1).map((row): Case => [[row.path], enter(quoted(row.path))]),
  ];
}

function valueRows(
  table: readonly CompletionRow[],
): readonly { readonly places: readonly string[]; readonly values: readonly string[] }[] {
  return table.flatMap(({ path, options }) =>
    options
      .filter(({ values }) => values.length > 0)
      .map(({ names, values }) => ({ places: names.map((each) => `${path} ${each}`), values })),
  );
}

/** A \`case\` of bash and zsh, each pattern quoted. */
function cases(indent: string, subject: string, rows: readonly Case[]): string {
  const lines = rows.map(([places, action]) => `${indent}  ${places.map(quoted).join(' | ')}) ${action} ;;`);
  return [`${indent}case ${subject} in`, ...lines, `${indent}esac`].join('\n');
}

function hasWords({ words }: CompletionRow): boolean {
  return words.length > 0;
}

function optionNames({ options }: CompletionRow): readonly string[] {
  return options.flatMap(({ names }) => names);
}

/** In single quotes. The texts of the table have none, and no backslash. */
function quoted(text: string): string {
  if (/['\\\n]/.test(text.replaceAll('\\:', ''))) throw new Error(`not for a shell: ${text}`);
  return `'${text}'`;
}

function functionName(program: string): string {
  return `_${program.replaceAll('-', '_')}`;
}
