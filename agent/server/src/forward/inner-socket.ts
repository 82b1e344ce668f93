import { lstatSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

/** What is known of a file: of the socket, or of a directory above it. */
export type FoundFile = Pick<Stats, 'uid' | 'mode' | 'isSocket' | 'isDirectory' | 'isSymbolicLink'>;

/** Why the inner agent's socket is not used. `absent`: it can appear later, and other faults do not end by themselves. */
export interface SocketFault {
  readonly kind: 'absent' | 'exposed';
  readonly message: string;
  readonly help: string;
}

/** Permission bits of the group and others. */
const others = 0o077;
const othersWrite = 0o022;
const sticky = 0o1000;

/**
 * Returns why others than this agent could reach the inner agent, past its rules, or could put another socket in its place;
 * undefined if they cannot. The socket and all directories above it belong to root or to this agent's user, and no one else can
 * write to them; the socket, or the directory that it is in, gives others no access at all.
 *
 * A socket of ttrpc-rust has the mode that the umask leaves, usually 755. Connecting needs write permission, so that no one but
 * its owner can; that it is also in a closed directory does not depend on this.
 */
export function socketFault(
  path: string,
  owner: number,
  read: (path: string) => FoundFile | undefined = readFile,
): SocketFault | undefined {
  const directories = directoriesAbove(path).map((name) => ({ name, file: read(name) }));
  for (const { name, file } of directories) {
    if (file === undefined) return absent(name);
    const fault = directoryFault(name, file, owner);
    if (fault !== undefined) return fault;
  }
  const socket = read(path);
  if (socket === undefined) return absent(path);
  if (!socket.isSocket())
    return exposed(path, 'it is not a socket', 'make the inner agent listen there, or change forward');
  const fault = ownerFault(path, socket, owner);
  if (fault !== undefined) return fault;
  if ((socket.mode & othersWrite) !== 0)
    return exposed(path, `other users can connect to it (${modeOf(socket)})`, `chmod 700 ${path}`);
  const parent = dirname(path);
  const closed = directories.some(
    ({ name, file }) => name === parent && ((file?.mode ?? others) & others) === 0,
  );
  if ((socket.mode & others) === 0 || closed) return undefined;
  return exposed(
    path,
    `other users have access to it (${modeOf(socket)}), and to the directory that it is in`,
    `give it a directory of its own: chmod 700 ${parent}`,
  );
}

/** From the root to the directory of the path. */
function directoriesAbove(path: string): readonly string[] {
  const found: string[] = [];
  for (let name = dirname(path); ; name = dirname(name)) {
    found.unshift(name);
    if (name === '/') return found;
  }
}

function directoryFault(name: string, file: FoundFile, owner: number): SocketFault | undefined {
  if (!file.isDirectory()) {
    const what = file.isSymbolicLink() ? 'a symbolic link' : 'not a directory';
    return exposed(name, `it is ${what}`, 'write the path without symbolic links');
  }
  const fault = ownerFault(name, file, owner);
  if (fault !== undefined) return fault;
  // In a sticky directory, such as /tmp, others can replace nothing that is not theirs.
  if ((file.mode & othersWrite) === 0 || (file.mode & sticky) !== 0) return undefined;
  return exposed(name, `other users can write to it (${modeOf(file)})`, `chmod go-w ${name}`);
}

function ownerFault(name: string, { uid }: FoundFile, owner: number): SocketFault | undefined {
  if (uid === 0 || uid === owner) return undefined;
  return exposed(name, `it belongs to uid ${uid}`, 'run the inner agent as root');
}

function absent(name: string): SocketFault {
  return { kind: 'absent', message: `${name} does not exist`, help: 'start the inner agent' };
}

function exposed(name: string, reason: string, help: string): SocketFault {
  return { kind: 'exposed', message: `${name}: ${reason}`, help };
}

function modeOf({ mode }: FoundFile): string {
  return `mode ${(mode & 0o7777).toString(8)}`;
}

function readFile(path: string): FoundFile | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
