// Brings a checkout to the point where it runs: node modules, compiled code, Debian packages.
// Each step is skipped when it has nothing to do, so that a second run is quick.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { architecture } from '../image/architecture.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** What turns Debian's packages into an image; those packages themselves are unpacked, not installed. */
const imagePackages = [
  { name: 'binutils', command: 'strip' },
  { name: 'xz-utils', command: 'xz' },
  { name: 'zstd', command: 'zstd' },
  { name: 'erofs-utils', command: 'mkfs.erofs' },
  { name: 'cryptsetup-bin', command: 'veritysetup' },
];

/** What boots it. */
const machinePackages = [
  ...imagePackages,
  { name: architecture.qemu.package, command: architecture.qemu.command },
  { name: 'virtiofsd', file: '/usr/libexec/virtiofsd' },
];

/** The Debian packages behind the commands that tests and the demonstration call. */
const debianPackages = {
  demo: [
    { name: 'runc', command: 'runc' },
    { name: 'iproute2', command: 'ip' },
    { name: 'busybox-static', command: 'busybox' },
  ],
  image: imagePackages,
  vm: machinePackages,
  test: [
    ...machinePackages,
    { name: 'binutils-aarch64-linux-gnu', command: 'aarch64-linux-gnu-objdump' },
    { name: 'qemu-user', command: 'qemu-aarch64' },
    { name: 'e2fsprogs', command: 'mkfs.ext4' },
    { name: 'runc', command: 'runc' },
    { name: 'iproute2', command: 'ip' },
    { name: 'iptables', command: 'iptables' },
    { name: 'busybox-static', command: 'busybox' },
    { name: 'swtpm', command: 'swtpm' },
    { name: 'tpm2-tools', command: 'tpm2_pcrread' },
    { name: 'golang-go', command: 'go' },
    {
      name: 'golang-github-containerd-ttrpc-dev',
      file: '/usr/share/gocode/src/github.com/containerd/ttrpc/server.go',
    },
    {
      name: 'golang-google-protobuf-dev',
      file: '/usr/share/gocode/src/google.golang.org/protobuf/proto/doc.go',
    },
  ],
};

/** Whether a command is an executable file somewhere in PATH (sbin included, which a user's PATH may lack). */
export function inPath(command) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return statSync(join(folder, command)).isFile();
    } catch (error) {
      if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code)) return false;
      throw error;
    }
  });
}

function step(title, command, args, options = {}) {
  const begin = Date.now();
  process.stderr.write(`• ${title} …`);
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  if (result.error !== undefined || result.status !== 0) {
    process.stderr.write(` failed after ${seconds} s\n${result.stdout ?? ''}${result.stderr ?? ''}`);
    if (result.error !== undefined) process.stderr.write(`${result.error.message}\n`);
    process.exit(1);
  }
  process.stderr.write(` ${seconds} s\n`);
}

/** Installs the node modules when the lockfile is not the one that was installed last. */
function installModules() {
  const stamp = join(root, 'node_modules', '.kata-agent-lock');
  const digest = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  step('installing npm packages', 'npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stamp, digest);
}

/** Compiles; the compiler itself knows what has changed. */
function compile() {
  mkdirSync(join(root, 'build'), { recursive: true });
  step('compiling', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
}

/**
 * Installs the Debian packages of a set when this is a Debian machine and we are root.
 * Returns the names that are missing in the end.
 */
function installDebianPackages(set) {
  const isMissing = ({ command, file }) => (file === undefined ? !inPath(command) : !existsSync(file));
  const missing = () => debianPackages[set].filter(isMissing).map(({ name }) => name);
  const wanted = missing();
  if (wanted.length === 0) return [];
  if (process.getuid?.() !== 0 || !inPath('apt-get')) return wanted;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  step('reading the Debian package lists', 'apt-get', ['update', '-qq'], { env });
  step(
    `installing ${wanted.join(', ')}`,
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', ...wanted],
    { env },
  );
  return missing();
}

/** Does all set-up for a set of packages (`demo`, `test`, `image` or `vm`) and returns the Debian packages still missing. */
export function bootstrap(set) {
  process.env.PATH = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  installModules();
  compile();
  return installDebianPackages(set);
}

/** The same for a program that can do nothing without them: it ends with 1, and says what to install. */
export function bootstrapAll(set) {
  const missing = bootstrap(set);
  if (missing.length === 0) return;
  const names = missing.join(', ');
  console.error(`missing Debian packages: ${names} (as root: apt-get install ${missing.join(' ')})`);
  process.exit(1);
}
