// Loaded into an agent with `--import`. A machine for tests has no shared file system, whose other end is the hypervisor:
// where the agent mounts one, the kernel is asked for a bind mount of the folder that SHARED_FOLDER names instead.
import { loadSyscalls, type Syscalls } from '@kata-agent/linux';

const folder = process.env['SHARED_FOLDER'];
const MS_BIND = 4096;

if (folder !== undefined) {
  const prototype = Object.getPrototypeOf(loadSyscalls()) as { mount: Syscalls['mount'] };
  const { mount } = prototype;
  prototype.mount = function standIn(this: Syscalls, source, target, type, flags, data) {
    if (type === 'virtiofs') mount.call(this, folder, target, '', MS_BIND, '');
    else mount.call(this, source, target, type, flags, data);
  };
}
