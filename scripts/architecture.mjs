// The properties of a guest that depend on the processor architecture. A guest has the architecture of the
// machine that builds its image, because Node.js, Debian's packages and koffi come from that machine.

/**
 * `triplet`: the name of Debian's library directory; `loader`: the path of the dynamic loader, and its link in
 * the image.
 *
 * @typedef {object} Architecture
 * @property {string} kernelPackage
 * @property {string} triplet
 * @property {{ readonly path: string, readonly link: string }} loader
 * @property {Qemu} qemu
 */

/**
 * The settings of QEMU. `words`: words for the kernel command line.
 *
 * @typedef {object} Qemu
 * @property {string} package
 * @property {string} command
 * @property {string} machine
 * @property {string} console
 * @property {{ readonly kvm: string, readonly tcg: string }} processor
 * @property {readonly string[]} words
 */

/**
 * The supported architectures, by Node.js's names.
 *
 * @type {{ readonly x64: Architecture, readonly arm64: Architecture }}
 */
const architectures = {
  x64: {
    kernelPackage: 'linux-image-cloud-amd64',
    triplet: 'x86_64-linux-gnu',
    loader: {
      path: '/usr/lib64/ld-linux-x86-64.so.2',
      link: '../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
    },
    qemu: {
      package: 'qemu-system-x86',
      command: 'qemu-system-x86_64',
      machine: 'pc',
      console: 'ttyS0',
      // With ERMS and FSRM, kernel and libc copy and clear memory with byte instructions, which TCG emulates
      // byte by byte: a boot takes a tenth longer.
      processor: { kvm: 'max', tcg: 'max,erms=off,fsrm=off' },
      // On a busy machine the emulated timer is too late for the kernel's timer check, which then panics.
      // Kata's runtimes add the same word.
      words: ['no_timer_check'],
    },
  },
  arm64: {
    kernelPackage: 'linux-image-cloud-arm64',
    triplet: 'aarch64-linux-gnu',
    loader: { path: '/usr/lib/ld-linux-aarch64.so.1', link: 'aarch64-linux-gnu/ld-linux-aarch64.so.1' },
    qemu: {
      package: 'qemu-system-arm',
      command: 'qemu-system-aarch64',
      machine: 'virt',
      console: 'ttyAMA0',
      processor: { kvm: 'max', tcg: 'max' },
      words: [],
    },
  },
};

/** The architecture of this machine. */
export const architecture = thisArchitecture(process.arch);

/**
 * @param {string} name
 * @returns {Architecture}
 */
function thisArchitecture(name) {
  if (name === 'x64' || name === 'arm64') return architectures[name];
  throw new Error(
    `unsupported architecture of a guest: ${name}; supported are ${Object.keys(architectures).join(', ')}`,
  );
}
