import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { whyWithout } from '../harness/prerequisites.js';
import { ctlProgram } from '../harness/repository.js';

/** What is typed before the key, and words of what each shell proposes then. */
const lines: readonly (readonly [typed: readonly string[], proposed: readonly string[]])[] = [
  [['config', 'gene'], ['generate']],
  [
    ['config', 'generate', '--format', ''],
    ['text', 'json'],
  ],
  [['config', 'generate', '--sna'], ['--snapshotter']],
  [['-a', 'unix:///run/agent.sock', '--timeout', '5s', 'call', 'WaitP'], ['WaitProcess']],
  [['endpoints', '@ex'], ['@exec']],
  [['explain', 'UNIMPL'], ['UNIMPLEMENTED']],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
];

describe('completion of command lines (a shell completes what it sourced)', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-completion-'));
    for (const shell of ['bash', 'zsh', 'fish']) writeFileSync(script(shell), printed(shell));
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  const script = (shell: string): string => join(directory, shell);

  it('bash: commands, options, values, and values after an equals sign', () => {
    for (const [typed, proposed] of [
      ...lines,
      [['config', 'check', '--format', '=', 'js'], ['json']] as const,
    ])
      assert.deepEqual(completedByBash(script('bash'), typed), proposed, typed.join(' '));
  });

  it('bash: files where nothing else is known', () => {
    assert.deepEqual(completedByBash(script('bash'), ['config', 'check', 'exam']), []);
    const { stdout } = run('bash', ['-c', `source ${script('bash')}; complete -p kata-agent-ctl`]);
    assert.match(stdout, /-o default/);
  });

  it('fish: the same', { skip: whyWithout('fish') ?? false }, () => {
    for (const [typed, proposed] of lines) {
      const line = `kata-agent-ctl ${typed.join(' ')}`;
      const { stdout } = run('fish', ['-c', `source ${script('fish')}; complete -C '${line}'`]);
      const words = stdout.split('\n').map((each) => each.split('\t')[0] ?? '');
      assert.deepEqual(words.filter((word) => word !== '').sort(), [...proposed].sort(), line);
    }
  });

  it('zsh: the same, on a terminal', { skip: whyWithout('zsh') ?? false, timeout: 60_000 }, () => {
    for (const [typed, proposed] of lines) {
      const seen = completedByZsh(script('zsh'), `kata-agent-ctl ${typed.join(' ')}`);
      for (const word of proposed) assert.ok(seen.includes(word), `${typed.join(' ')}: ${seen}`);
    }
  });

  it('refuses a shell that it does not know', () => {
    const { status, stderr } = spawnSync(process.execPath, [ctlProgram, 'completion', 'tcsh'], {
      encoding: 'utf8',
    });
    assert.equal(status, 2);
    assert.match(stderr, /no completion for "tcsh"\n {2}it is one of bash, zsh, fish/);
  });
});

function printed(shell: string): string {
  return run(process.execPath, [ctlProgram, 'completion', shell]).stdout;
}

function run(program: string, words: readonly string[]): { readonly stdout: string } {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', timeout: 20_000 });
  assert.equal(status, 0, stderr);
  return { stdout };
}

/** Returns the words that bash's function leaves, as readline calls it. */
function completedByBash(script: string, typed: readonly string[]): readonly string[] {
  const { stdout } = run('bash', [
    '-c',
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kata_agent_ctl; printf "%s\\n" "${COMPREPLY[@]}"',
    'bash',
    script,
    'kata-agent-ctl',
    ...typed,
  ]);
  return stdout.split('\n').filter((word) => word !== '');
}

/** Returns what an interactive zsh shows after the key: a list, or the line as it has completed it. */
function completedByZsh(script: string, line: string): string {
  const inner = [
    'autoload -U compinit; compinit -u -D',
    `source ${script}`,
    'stty columns 100',
    'show() { print -r -- "<<$BUFFER>>" }; zle -N show; bindkey "^X" show',
    'print SOUR""CED',
  ];
  return run('zsh', [
    '-f',
    '-c',
    `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z '${inner.join('; ')}'
zpty -r z out '*SOURCED*'
zpty -w -n z $'${line}\\t\\x18'
zpty -r z out '*<<*>>*'
print -r -- "$out"
zpty -d z`,
  ]).stdout;
}
