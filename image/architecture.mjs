// What a guest's processor decides, other than the machine code itself. A guest has the processor of the machine that builds
// its image: Node.js, Debian's packages and koffi are that machine's own.

/** By Node's names of them. `triplet`: Debian's folder of libraries; `loader`: where programs look for theirs. */
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
      // An emulated processor that says that it copies and clears fast by bytes (ERMS, FSRM) is asked to, and does it byte by
      // byte: a boot takes a tenth longer.
      processor: { kvm: 'max', tcg: 'max,erms=off,fsrm=off' },
      // On a busy machine the emulated timer ticks too late for the kernel's check of it, which ends in a panic. Kata's
      // runtimes write the word too.
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

export const architecture = architectures[process.arch];
if (architecture === undefined)
  throw new Error(`no guest is built for ${process.arch}: there is ${Object.keys(architectures).join(', ')}`);
