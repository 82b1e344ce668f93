import { searchPath } from './defaults.js';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { defaultCapabilities } from '@kata-agent/gate';
import type { ProcessSchema } from '@kata-agent/protocol/oci';
import { CommandError, ExitCode } from '@kata-agent/cli';

/** A program to start, as given on the command line. */
export interface ProcessRequest {
  readonly args: readonly string[];
  /** `NAME=value`, or `NAME` for the value in the caller's environment. */
  readonly env: readonly string[];
  /** `uid`, `uid:gid` or `uid:gid,gid…`, as numbers; undefined: root. */
  readonly user: string | undefined;
  readonly cwd: string | undefined;
  readonly terminal: boolean;
  /** The size of the caller's terminal, if there is one. */
  readonly size: TerminalSize | undefined;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

const largestId = 0xffff_fffe;

/** Returns the process of an OCI spec. Throws a CommandError (wrong use). */
export function processSpec(
  request: ProcessRequest,
  ownEnvironment: Readonly<Record<string, string | undefined>>,
): MessageInitShape<typeof ProcessSchema> {
  const cwd = request.cwd ?? '/';
  if (!cwd.startsWith('/')) {
    throw new CommandError(ExitCode.Usage, `--cwd '${cwd}': the working directory must be an absolute path`);
  }
  const capabilities = [...defaultCapabilities];
  return {
    Terminal: request.terminal,
    ...(request.size === undefined || !request.terminal
      ? {}
      : { ConsoleSize: { Height: request.size.rows, Width: request.size.columns } }),
    User: parseUser(request.user ?? '0:0'),
    Args: [...request.args],
    Env: environment(request, ownEnvironment),
    Cwd: cwd,
    Capabilities: { Bounding: capabilities, Effective: capabilities, Permitted: capabilities },
    NoNewPrivileges: true,
  };
}

/** Later values of a name replace earlier ones: an environment with duplicate names can be rejected. */
function environment(
  request: ProcessRequest,
  ownEnvironment: Readonly<Record<string, string | undefined>>,
): string[] {
  const given = [searchPath, ...(request.terminal ? ['TERM=xterm'] : []), ...request.env];
  const values = new Map<string, string>();
  for (const entry of given) {
    const equals = entry.indexOf('=');
    const name = equals < 0 ? entry : entry.slice(0, equals);
    const value = equals < 0 ? ownEnvironment[name] : entry.slice(equals + 1);
    if (name === '' || entry.includes('\0')) {
      throw new CommandError(ExitCode.Usage, `--env '${entry}': must be NAME=value or NAME`);
    }
    if (value !== undefined) values.set(name, value);
  }
  return [...values].map(([name, value]) => `${name}=${value}`);
}

function parseUser(text: string): { UID: number; GID: number; AdditionalGids: number[] } {
  const match = /^([0-9]{1,10})(?::([0-9]{1,10})((?:,[0-9]{1,10})*))?$/.exec(text);
  const [, uid = '', gid = '0', more = ''] = match ?? [];
  const numbers = [uid, gid, ...more.split(',').slice(1)].map(Number);
  if (match === null || numbers.some((number) => number > largestId)) {
    throw new CommandError(ExitCode.Usage, `--user '${text}': must be uid, uid:gid or uid:gid,gid`, {
      help: ['use numbers: names are defined only in the rootfs'],
    });
  }
  const [UID = 0, GID = 0, ...AdditionalGids] = numbers;
  return { UID, GID, AdditionalGids };
}
