/** What Kata's runtimes (4.1, Go and Rust) have in common beside the order of their calls. */

/** Contains everything that the runtimes share with a guest or prepare in it. */
export const kataDirectory = '/run/kata-containers';

/** What the host shares with the guest; CopyFile writes below it. */
export const sharedDirectory = '/run/kata-containers/shared/containers';

/** Bytes that one ReadStdout or ReadStderr asks for. */
export const readBytes: number = 32 * 1024;
