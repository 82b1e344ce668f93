import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runBinary } from '../../testing/program.js';
import { readKataConfiguration } from './kata-configuration.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-kata-'));
after(() => rmSync(directory, { recursive: true }));

/** Writes a file in a directory of its own, with files of its config.d. */
function configuration(name: string, text: string, dropIns: Readonly<Record<string, string>> = {}): string {
  const path = join(directory, name, 'configuration.toml');
  mkdirSync(join(dirname(path), 'config.d'), { recursive: true });
  writeFileSync(path, text);
  for (const [file, more] of Object.entries(dropIns))
    writeFileSync(join(dirname(path), 'config.d', file), more);
  return path;
}

const rs = '[runtime]\nname = "virt_container"\nhypervisor_name = "qemu"\n';

// The keys as templates of Kata Containers 4.1.0 have them (src/runtime/config, src/runtime-rs/config).
const rows: readonly (readonly [name: string, text: string, expected: object])[] = [
  [
    'the Go runtime',
    '[hypervisor.qemu]\nshared_fs = "virtio-fs"\n[runtime]\nemptydir_mode = "shared-fs"\n',
    { runtime: 'go', guest: 'shared-fs', emptyDirs: 'shared-fs' },
  ],
  [
    'the Go runtime without either key',
    '[hypervisor.clh]\n[runtime]\n',
    { runtime: 'go', guest: 'shared-fs', emptyDirs: 'shared-fs' },
  ],
  [
    'runtime-rs for confidential guests',
    `[hypervisor.qemu]\nshared_fs = "none"\n${rs}emptydir_mode = "block-encrypted"\n`,
    { runtime: 'rs', guest: 'confidential', emptyDirs: 'block-encrypted' },
  ],
  [
    'runtime-rs without shared_fs',
    `[hypervisor.qemu]\n${rs}emptydir_mode = "block-plain"\n`,
    { runtime: 'rs', guest: 'confidential', emptyDirs: 'block-plain' },
  ],
  [
    'runtime-rs with an empty shared_fs',
    `[hypervisor.qemu]\nshared_fs = ""\n${rs}`,
    { runtime: 'rs', guest: 'shared-fs', emptyDirs: 'shared-fs' },
  ],
  [
    'runtime-rs with the remote hypervisor',
    '[hypervisor.remote]\n[runtime]\nname = "virt_container"\nhypervisor_name = "remote"\n',
    { runtime: 'rs', guest: 'confidential', emptyDirs: 'shared-fs' },
  ],
  [
    'peer pods',
    '[hypervisor.remote]\n[runtime]\nemptydir_mode = "shared-fs"\n',
    { runtime: 'remote', guest: 'confidential' },
  ],
];

for (const [name, text, expected] of rows)
  test(`${name}: what its configuration says`, () => {
    assert.deepEqual(readKataConfiguration(configuration(name, text)), expected);
  });

test('files of config.d count in their order, also beside a link’s target', () => {
  const path = configuration('drop-ins', `[hypervisor.qemu]\nshared_fs = "virtio-fs"\n${rs}`, {
    '20-none': '[hypervisor.qemu]\nshared_fs = "none"\n',
    '10-inline.toml':
      '[hypervisor.qemu]\nshared_fs = "inline-virtio-fs"\n[runtime]\nemptydir_mode = "block-plain"\n',
  });
  const link = join(directory, 'configuration.toml');
  symlinkSync(path, link);
  for (const file of [path, link])
    assert.deepEqual(readKataConfiguration(file), {
      runtime: 'rs',
      guest: 'confidential',
      emptyDirs: 'block-plain',
    });
});

test('a file that no runtime accepts is refused, with the value and the remedy', () => {
  const refused: readonly (readonly [text: string, message: RegExp])[] = [
    ['[hypervisor.qemu]\nshared_fs = "9p"\n', /shared_fs = "9p": no runtime accepts it/],
    ['[hypervisor.qemu]\n[runtime]\nemptydir_mode = "tmpfs"\n', /emptydir_mode = "tmpfs"/],
    ['[agent]\nlock = true\n', /has no section \[hypervisor/],
    ['[hypervisor\n', /KA1003/],
  ];
  for (const [index, [text, message]] of refused.entries())
    assert.throws(() => readKataConfiguration(configuration(`refused-${index}`, text)), {
      exitCode: 1,
      message,
    });
  assert.throws(() => readKataConfiguration(join(directory, 'none.toml')), { exitCode: 3 });
});

test('config generate writes with the file what it writes with the options', () => {
  const pod = fileURLToPath(new URL('../../../../../examples/workloads/postgres.yaml', import.meta.url));
  const file = configuration(
    'coco',
    `[hypervisor.qemu]\nshared_fs = "none"\n${rs}emptydir_mode = "block-encrypted"\n`,
  );
  const generate = (...more: readonly string[]): string =>
    runBinary(['config', 'generate', '--pod', pod, ...more]).stdout;
  const options = ['--runtime', 'rs', '--guest', 'confidential', '--emptydir-mode', 'block-encrypted'];
  assert.equal(generate('--kata-config', file), generate(...options));
  const twice = runBinary([
    'config',
    'generate',
    '--pod',
    pod,
    '--kata-config',
    file,
    '--guest',
    'confidential',
  ]);
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /--kata-config and --guest: the file says it/);
});
