import { Rtnetlink, type Syscalls } from '@kata-agent/linux';

/** Calls a function with a socket of rtnetlink in the network namespace of this thread, which is the guest's. */
export function onRtnetlink<Result>(syscalls: Syscalls, use: (kernel: Rtnetlink) => Result): Result {
  const kernel = new Rtnetlink(syscalls);
  try {
    return use(kernel);
  } finally {
    kernel.close();
  }
}
