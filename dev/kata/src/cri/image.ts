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

/** The name of an image with the same files and another ID, which can be renamed: containerd 1.7 sends the first name of an ID. */
export const renamedImageName = 'docker.io/library/kata-renamed:1';

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
  const digest = sha256(join(directory, 'layer.tar'));
  const manifest = [
    { name: imageName, file: 'config.json', config: imageConfig },
    { name: pauseImageName, file: 'pause.json', config: pauseConfig },
    { name: renamedImageName, file: 'renamed.json', config: { ...imageConfig, author: 'kata-agent' } },
  ].map(({ name, file, config }) => {
    const rootfs = { type: 'layers', diff_ids: [`sha256:${digest}`] };
    writeFileSync(join(directory, file), JSON.stringify({ ...config, rootfs }));
    return { Config: file, RepoTags: [name], Layers: ['layer.tar'] };
  });
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(work, 'image.tar');
  tar(archive, directory, ['manifest.json', 'config.json', 'pause.json', 'renamed.json', 'layer.tar']);
  return archive;
}

/** The file that only the image of the registry has, and its text. */
export const registryMarker = { path: '/etc/from-the-registry', text: 'pulled by the guest' } as const;

/**
 * Writes an image for a registry to an archive of its own, and returns its path: a layer with a file more than the images of
 * `makeImages`, which must have run.
 */
export function makeRegistryImage(work: string): string {
  const tree = join(work, 'image', 'top');
  mkdirSync(join(tree, dirname(registryMarker.path)), { recursive: true });
  writeFileSync(join(tree, registryMarker.path), `${registryMarker.text}\n`);
  const directory = join(work, 'image', 'archive');
  tar(join(directory, 'top.tar'), tree, ['.']);
  const layers = ['layer.tar', 'top.tar'];
  const rootfs = {
    type: 'layers',
    diff_ids: layers.map((layer) => `sha256:${sha256(join(directory, layer))}`),
  };
  writeFileSync(join(directory, 'registry.json'), JSON.stringify({ ...imageConfig, rootfs }));
  const manifest = [
    { Config: 'registry.json', RepoTags: ['docker.io/library/kata-registry:1'], Layers: layers },
  ];
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(work, 'registry-image.tar');
  tar(archive, directory, ['manifest.json', 'registry.json', ...layers]);
  return archive;
}

/**
 * Writes the bundle of a pause container as a guest image has it, and returns its directory. Its process differs from that of the
 * host's image.
 */
export function makePauseBundle(work: string): string {
  const bundle = join(work, 'pause_bundle');
  const bin = join(bundle, 'rootfs', 'bin');
  mkdirSync(bin, { recursive: true });
  for (const name of ['dev', 'etc', 'proc', 'sys']) mkdirSync(join(bundle, 'rootfs', name));
  copyFileSync(busybox, join(bin, 'sleep'));
  writeFileSync(
    join(bundle, 'config.json'),
    JSON.stringify({
      ociVersion: '1.0.2',
      process: { args: [...pauseProcess], cwd: '/', env: ['PATH=/bin'] },
    }),
  );
  return bundle;
}

/** The process of that bundle. */
export const pauseProcess: readonly string[] = ['/bin/sleep', '2000000'];

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
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
