import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface VmOptions {
  readonly help?: boolean;
  readonly stop?: boolean;
  readonly memory?: number;
  readonly command?: readonly string[];
  readonly disks?: readonly string[];
}

/** What the scripts export; they are JavaScript. */
interface Scripts {
  readonly vmOptions: (words: readonly string[]) => VmOptions;
  readonly runCommand: (
    words: readonly string[],
    options: { readonly env: NodeJS.ProcessEnv; readonly endWished: Promise<string> },
  ) => Promise<number>;
  readonly takeOut: (out: string) => Promise<() => void>;
  readonly takeFolder: (folder: string, stop: () => void) => Promise<() => void>;
  readonly stopMachineIn: (folder: string) => Promise<boolean>;
  readonly withRelay: (text: string, name: string) => string;
  readonly run: (command: string, args: readonly string[]) => string;
}

async function loadScripts(): Promise<Scripts> {
  const modules = ['vm-image', 'vm-options', 'vm-command', 'vm-control', 'image-out', 'image-packages'].map(
    (name) => import(`${repository}scripts/${name}.mjs`) as Promise<Partial<Scripts>>,
  );
  return Object.assign({}, ...(await Promise.all(modules))) as Scripts;
}

const scripts = await loadScripts();
const folder = mkdtempSync(join(tmpdir(), 'kata-command-line-'));
const file = join(folder, 'file');
writeFileSync(file, '');
mkdirSync(join(folder, 'folder'));
after(() => rmSync(folder, { recursive: true }));

describe('the options of npm run vm', () => {
  it('end where the command begins, whose own they leave alone', () => {
    const read = scripts.vmOptions([
      '--tpm',
      '--memory=300',
      '--disk',
      file,
      'x',
      '--help',
      '-v',
      '--memory',
    ]);
    assert.deepEqual(read.command, ['x', '--help', '-v', '--memory']);
    assert.equal(read.memory, 300);
    assert.deepEqual(read.disks, [file]);
    assert.deepEqual(scripts.vmOptions(['--', '--odd']).command, ['--odd']);
    assert.equal(scripts.vmOptions(['-h']).help, true);
    assert.equal(scripts.vmOptions(['--help', '--stop', '--memory', '1']).help, true);
  });

  it('are looked at before anything is built, and named when they are wrong', () => {
    const gone = join(folder, 'gone');
    const table: readonly [words: readonly string[], says: RegExp][] = [
      [['-v'], /'-v'/],
      [['--nonsense', 'x'], /'--nonsense'/],
      [['--memory'], /'--memory <value>' argument missing/],
      [['--memory', '1G'], /^--memory 1G: this is no whole number above 0$/],
      [['--memory', '0'], /^--memory 0: /],
      [['--config', ''], /^--config: its value is empty$/],
      [['--config', gone], /^--config .*gone: there is no such file or folder$/],
      [['--config', folder], /^--config .*: this is a folder, not a file$/],
      [['--disk', file, '--disk', gone], /^--disk .*gone: there is no such file or folder$/],
      [['--virtiofs', gone], /^--virtiofs .*gone: there is no such file or folder$/],
      [['--virtiofs', file], /^--virtiofs .*file: this is no folder$/],
      [['--console', join(gone, 'x')], /^--console .*gone: there is no such file or folder$/],
      [['--console', folder], /^--console .*: this is a folder, not a file$/],
      [['--stop', 'x'], /^--stop: takes no command, and there is x$/],
      [
        ['--folder', `/tmp/${'x'.repeat(100)}`],
        /agent\.sock in it .* path of 116 bytes, .* has 107 at most$/,
      ],
    ];
    for (const [words, says] of table)
      assert.throws(
        () => scripts.vmOptions(words),
        (error: unknown) => error instanceof Error && says.test(error.message),
        words.join(' '),
      );
  });
});

describe('the configuration of npm run vm', () => {
  const listener = (peers: string): string =>
    `[[listener]]\naddress = "vsock://-1:1024"\npeers = [${peers}]\n`;

  it('lets the relay in, or is named', () => {
    assert.match(scripts.withRelay('[api]\n', 'c.toml'), /^\[api\]\n[^]*peers = \["host","cid:1"\]\n$/);
    const own = listener('"host", "cid:1"');
    assert.equal(scripts.withRelay(own, 'c.toml'), own);
    assert.throws(
      () => scripts.withRelay(listener('"host"'), 'c.toml'),
      /^Error: c\.toml: no \[\[listener\]\] lets the relay of npm run vm in: add "cid:1" to the peers/,
    );
  });
});

describe('the command of npm run vm', () => {
  const run = (words: readonly string[], endWished: Promise<string> = new Promise(() => undefined)) =>
    scripts.runCommand(words, { env: process.env, endWished });

  it('hands its exit code on as a shell does', async () => {
    assert.equal(await run(['sh', '-c', 'exit 7']), 7);
    assert.equal(await run(['sh', '-c', 'kill -TERM $$']), 128 + 15);
    assert.equal(await run([join(folder, 'gone')]), 127);
    assert.equal(await run([file]), 126);
  });

  it('is ended with the machine', async () => {
    assert.equal(await run(['sleep', '1000'], Promise.resolve('--stop')), 128 + 15);
  });
});

describe('a folder that one process works in', () => {
  it('is not taken twice, and is told of a wish to stop', async () => {
    const target = join(folder, 'one');
    mkdirSync(target);
    let wish: (value: string) => void = () => undefined;
    const wished = new Promise<string>((resolve) => {
      wish = resolve;
    });
    const giveBack = await scripts.takeFolder(target, () => wish('stop'));
    await assert.rejects(
      scripts.takeFolder(target, () => undefined),
      /^Error: a machine runs in .*one already/,
    );
    const stopped = scripts.stopMachineIn(target);
    assert.equal(await wished, 'stop');
    giveBack();
    assert.equal(await stopped, true);
    assert.equal(await scripts.stopMachineIn(target), false);
  });

  it('is for its user alone, and is taken over from a process that was killed', async () => {
    const target = join(folder, 'stale');
    mkdirSync(target);
    const socket = join(target, 'stop.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    assert.ok(existsSync(socket));
    const before = process.umask(0);
    const giveBack = await scripts.takeFolder(target, () => undefined).finally(() => process.umask(before));
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    giveBack();
  });

  it('is told of by its name when an image is written there already', async () => {
    const out = join(folder, 'folder');
    const giveBack = await scripts.takeOut(out);
    await assert.rejects(
      scripts.takeOut(`${out}/../folder`),
      /another npm run image writes to .*: wait for it/,
    );
    const other = await scripts.takeOut(folder);
    other();
    giveBack();
    const again = await scripts.takeOut(out);
    again();
  });
});

describe('npm run image', () => {
  const image = (...words: readonly string[]) =>
    spawnSync(process.execPath, [join(repository, 'scripts', 'image.mjs'), '--compiled', ...words], {
      encoding: 'utf8',
    });

  it('has help, which ends well', () => {
    const { status, stdout } = image('-h');
    assert.equal(status, 0);
    assert.match(stdout, /Example: npm run image -- /);
  });

  it('ends with 2 for what is used wrongly, and names it', () => {
    const gone = join(folder, 'gone');
    for (const [words, says] of [
      [['--config', gone], `--config ${gone}: there is no such file or folder\n`],
      [['--out', ''], '--out: its value is empty\n'],
      [['word'], "Unexpected argument 'word'"],
    ] as const) {
      const { status, stderr } = image(...words);
      assert.ok(stderr.startsWith(says), stderr);
      assert.equal(status, 2);
    }
  });

  it('reads what programs say in English, whatever language its user has', () => {
    const before = process.env['LC_ALL'];
    process.env['LC_ALL'] = 'de_DE.UTF-8';
    try {
      assert.equal(scripts.run('sh', ['-c', 'echo "$LC_ALL"']), 'C\n');
    } finally {
      if (before === undefined) delete process.env['LC_ALL'];
      else process.env['LC_ALL'] = before;
    }
  });

  it('says of a program that a signal ended it', () => {
    assert.throws(() => scripts.run('sh', ['-c', 'kill -INT $$']), /^Error: sh: ended by SIGINT$/);
  });

  it('names the program that is not there', () => {
    const program = join(repository, 'scripts', 'image.mjs');
    const { status, stderr } = spawnSync(
      process.execPath,
      [program, '--compiled', '--out', join(folder, 'out')],
      {
        encoding: 'utf8',
        env: { PATH: folder },
      },
    );
    assert.match(stderr, /^apt-cache: there is no such program in PATH/m);
    assert.equal(status, 1);
  });

  it('ends with 1 when there is no folder for it, or the configuration is wrong', () => {
    const none = image('--out', file);
    assert.match(none.stderr, /^--out .*file: cannot be made a folder: EEXIST/);
    assert.equal(none.status, 1);
    assert.match(
      image('--out', '/proc/none/below').stderr,
      /^--out \/proc\/none: cannot be made a folder: ENOENT/,
    );
    const wrong = join(folder, 'wrong.toml');
    writeFileSync(wrong, '[api]\nallowed_endpoints = ["ExecProces"]\n');
    const refused = image('--config', wrong, '--out', join(folder, 'none'));
    assert.match(
      refused.stderr,
      /^wrong\.toml:2:22: unknown endpoint "ExecProces"/,
      'and nothing else was begun',
    );
    assert.equal(refused.status, 1);
  });
});
