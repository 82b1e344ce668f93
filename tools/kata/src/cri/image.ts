// Makes images of busybox in Docker's archive format.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const busybox = '/usr/bin/busybox';

/**
 * Replacements of programs in the images of Kata's tests, which are in no registry of this machine. `stress` allocates
 * memory, `agnhost mounttest` creates a file and prints its owner, `inotifywait` ends when the
 * volume has changed, without inotify.
 */
const scripts: Readonly<Record<string, string>> = {
  'bin/bash': 'exec sh "$@"',
  'bin/nohup': 'exec "$@"',
  'bin/printenv': 'eval "test -n \\"\\${$1+set}\\"" && eval "echo \\"\\$$1\\""',
  'bin/stress':
    'while [ "$1" != --vm-bytes ]; do shift; done; exec dd if=/dev/zero of=/dev/null bs="$2" count=9',
  'bin/inotifywait': `while [ $# -gt 1 ]; do shift; done
before=$(readlink "$1/..data"); echo watching
while [ "$(readlink "$1/..data")" = "$before" ]; do sleep 0.2; done`,
  'usr/sbin/nginx': '[ "$1" = -s ] || exec sleep 1000000',
  pause: 'exec sleep 1000000',
  agnhost: `[ "$1" = mounttest ] || exec sleep 1000000
for word; do file=\${word#--new_file_0660=}; [ "$file" = "$word" ] || break; done
touch "$file" && chmod 660 "$file"
stat -c 'owner UID of "%n": %u
owner GID of "%n": %g' "$file"`,
};

/** The name of the image of the containers. */
export const imageName = 'docker.io/library/kata-pod:1';

/** The name of the image of sandboxes. */
export const pauseImageName = 'docker.io/library/kata-pause:1';

/** The configuration of the containers' image, as OCI's image specification has it. */
export const imageConfig: object = {
  architecture: process.arch === 'x64' ? 'amd64' : process.arch,
  os: 'linux',
  config: { Env: ['PATH=/bin:/usr/sbin'], Cmd: ['/bin/sleep', '1000000'] },
};

/** Kubernetes' image of the pause container has this user. */
const pauseConfig: object = {
  ...imageConfig,
  config: {
    Entrypoint: ['/pause'],
    User: '65535:65535',
    WorkingDir: '/',
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  },
};

/** Writes both images, which have the same files, to one archive and returns its path. */
export function makeImages(work: string): string {
  const tree = join(work, 'image', 'root');
  for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'usr/share'])
    mkdirSync(join(tree, name), { recursive: true });
  copyFileSync(busybox, join(tree, 'bin', 'busybox'));
  const applets = spawnSync(busybox, ['--list'], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
  for (const name of applets) if (name !== 'busybox') symlinkSync('busybox', join(tree, 'bin', name));
  for (const [path, text] of Object.entries(scripts)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  const directory = join(work, 'image', 'archive');
  mkdirSync(directory);
  tar(join(directory, 'layer.tar'), tree, ['.']);
  const digest = createHash('sha256')
    .update(readFileSync(join(directory, 'layer.tar')))
    .digest('hex');
  const manifest = [
    { name: imageName, file: 'config.json', config: imageConfig },
    { name: pauseImageName, file: 'pause.json', config: pauseConfig },
  ].map(({ name, file, config }) => {
    const rootfs = { type: 'layers', diff_ids: [`sha256:${digest}`] };
    writeFileSync(join(directory, file), JSON.stringify({ ...config, rootfs }));
    return { Config: file, RepoTags: [name], Layers: ['layer.tar'] };
  });
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(work, 'image.tar');
  tar(archive, directory, ['manifest.json', 'config.json', 'pause.json', 'layer.tar']);
  return archive;
}

function tar(archive: string, directory: string, names: readonly string[]): void {
  const { status, stderr } = spawnSync(
    'tar',
    ['-cf', archive, '-C', directory, '--owner=0', '--group=0', ...names],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(`tar: ${stderr}`);
}
