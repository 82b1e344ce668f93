import { bytes, type CLibrary, cString, cStrings } from './koffi.js';
import { SyscallError } from './syscall-error.js';

/** A program to start. */
export interface ProgramStart {
  /** The path of the program. */
  readonly program: string;
  /** The arguments, without the program's own name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  /** Descriptors of this process that become 0 to 2 of the program; undefined: /dev/null. All others must be close-on-exec. */
  readonly stdio: readonly [
    stdin: number | undefined,
    stdout: number | undefined,
    stderr: number | undefined,
  ];
}

export interface SpawnCall {
  /**
   * posix_spawn(3): starts a program as a child of this process and returns its pid. Node's `spawn` forks, which copies the page
   * tables and takes milliseconds in a process of this size; this call borrows the memory until the program is executed. As with
   * Node's, no signal is blocked or ignored in the program. A program that cannot be executed is an error here.
   */
  spawn(start: ProgramStart): number;
}

const SetSignalDefaults = 0x04;
const SetSignalMask = 0x08;

/** At least the sizes of posix_spawn_file_actions_t, posix_spawnattr_t and sigset_t in glibc and musl. */
const actionsSize = 256;
const attributesSize = 512;
const signalSetSize = 128;

const openReadWrite = 2;

/** These calls of the C library. */
export function spawnCall(library: CLibrary): SpawnCall {
  const { find } = library;
  const spawn = find(
    'int posix_spawn(void *pid, void *path, void *actions, void *attributes, void *argv, void *envp)',
  );
  const initActions = find('int posix_spawn_file_actions_init(void *actions)');
  const addDuplicate = find('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)');
  const addOpen = find(
    'int posix_spawn_file_actions_addopen(void *actions, int fd, void *path, int flags, int mode)',
  );
  const addDirectory = library.findOptional(
    'int posix_spawn_file_actions_addchdir_np(void *actions, void *path)',
  );
  const endActions = find('int posix_spawn_file_actions_destroy(void *actions)');
  const initAttributes = find('int posix_spawnattr_init(void *attributes)');
  const setFlags = find('int posix_spawnattr_setflags(void *attributes, short flags)');
  const setDefaults = find('int posix_spawnattr_setsigdefault(void *attributes, void *signals)');
  const setMask = find('int posix_spawnattr_setsigmask(void *attributes, void *signals)');
  const noSignals = bytes(signalSetSize);
  const allSignals = bytes(signalSetSize).fill(0xff);
  const nowhere = cString('posix_spawn', '/dev/null');
  return {
    spawn({ program, arguments: words, environment, directory, stdio }) {
      if (addDirectory === undefined)
        throw new Error(
          'this C library starts no program in another directory: glibc 2.29 or musl 1.1.24 does',
        );
      const done = (error: number): void => {
        if (error !== 0) throw new SyscallError('posix_spawn', error, program);
      };
      const path = cString('posix_spawn', program);
      const argv = cStrings(library, 'posix_spawn', [program, ...words]);
      const envp = cStrings(
        library,
        'posix_spawn',
        Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      );
      const pid = bytes(4);
      const actions = bytes(actionsSize);
      const attributes = bytes(attributesSize);
      done(initAttributes(attributes));
      done(setFlags(attributes, SetSignalDefaults | SetSignalMask));
      done(setDefaults(attributes, allSignals));
      done(setMask(attributes, noSignals));
      done(initActions(actions));
      try {
        for (const [number, descriptor] of stdio.entries())
          done(
            descriptor === undefined
              ? addOpen(actions, number, nowhere, openReadWrite, 0)
              : addDuplicate(actions, descriptor, number),
          );
        done(addDirectory(actions, cString('posix_spawn', directory)));
        done(spawn(pid, path, actions, attributes, argv, envp));
      } finally {
        endActions(actions);
      }
      return pid.readInt32LE();
    },
  };
}
