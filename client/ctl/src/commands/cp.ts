import { sharedDirectory } from '@kata-agent/catalogue';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { AgentService } from '@kata-agent/protocol/agent';
import {
  type Agent,
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  print,
  withAgent,
} from '@kata-agent/cli';

/** Well below the frame limit of 4 MiB. */
const pieceBytes = 1024 * 1024;
const parentMode = 0o755;
const largestId = 0x7fff_ffff;

export const cp: CommandDefinition = {
  path: 'cp',
  summary: 'copy a file into the guest',
  details: [
    `Calls CopyFile. A relative target is below ${sharedDirectory}, the directory for files of containers; the agent refuses other paths. Permissions are kept; the owner is root unless --owner is given.`,
  ],
  operands: [
    { syntax: '<file>', description: 'a regular file on this machine' },
    { syntax: '<target>', description: 'its path in the guest' },
  ],
  options: [{ flags: '--owner <uid:gid>', description: 'the owner in the guest, as numbers (default: 0:0)' }],
  examples: [
    {
      line: 'kata-agent-ctl cp resolv.conf web/resolv.conf',
      description: `Writes ${sharedDirectory}/web/resolv.conf.`,
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const [source = '', target = ''] = invocation.operands;
    refuseContainerPaths(source, target);
    const owner = parseOwner(invocation);
    const path = target.startsWith('/') ? target : `${sharedDirectory}/${target}`;
    const file = await openSource(source);
    try {
      const { mode, size } = await file.stat();
      await withAgent(invocation, (agent) => copy(agent, file, { path, mode, size, ...owner }));
      await print(invocation, { path, bytes: size }, () => '');
    } finally {
      await file.close();
    }
    return ExitCode.Success;
  },
};

interface Target {
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
}

/** Sends the file in chunks. An empty file is sent as one empty chunk, so that it is created. */
async function copy(agent: Agent, file: FileHandle, target: Target): Promise<void> {
  const { path, mode, size, uid, gid } = target;
  const buffer = Buffer.alloc(Math.min(pieceBytes, size));
  let offset = 0;
  do {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - offset), offset);
    if (bytesRead === 0 && size > 0) {
      throw new CommandError(
        ExitCode.CannotApply,
        `the file was truncated while it was copied: ${offset} of ${size} bytes were sent`,
      );
    }
    await agent.call(AgentService.method.copyFile, {
      path,
      fileSize: BigInt(size),
      fileMode: mode,
      dirMode: parentMode,
      uid,
      gid,
      offset: BigInt(offset),
      data: Buffer.from(buffer.subarray(0, bytesRead)),
    });
    offset += bytesRead;
  } while (offset < size);
}

/** Refuses `NAME:/path` of kubectl and docker: as a path of the shared directory it would be a file of that name. */
function refuseContainerPaths(source: string, target: string): void {
  const inContainer = /^([A-Za-z0-9][\w.-]*):(\/.*)$/;
  const from = inContainer.exec(source);
  const to = inContainer.exec(target);
  if (from !== null)
    throw new CommandError(ExitCode.Usage, `'${source}': cp copies into the guest, not out of a container`, {
      help: [`read it in the container: kata-agent-ctl exec ${from[1]} cat ${from[2]} > FILE`],
    });
  if (to !== null)
    throw new CommandError(ExitCode.Usage, `'${target}': cp copies into the guest, not into a container`, {
      help: [`write it in the container: kata-agent-ctl exec -i ${to[1]} sh -c 'cat > ${to[2]}' < ${source}`],
    });
}

async function openSource(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    // O_NONBLOCK: a named pipe without a writer is refused, without waiting.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.CannotApply, `cannot copy: ${reason}`, { cause: error });
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new CommandError(ExitCode.Usage, `cannot copy '${path}': it is not a regular file`);
}

function parseOwner({ options }: Invocation): { uid: number; gid: number } {
  const text = options.text('owner') ?? '0:0';
  const [, uid = 'x', gid = 'x'] = /^([0-9]{1,10}):([0-9]{1,10})$/.exec(text) ?? [];
  if (Number(uid) <= largestId && Number(gid) <= largestId) return { uid: Number(uid), gid: Number(gid) };
  throw new CommandError(ExitCode.Usage, `--owner '${text}: must be uid:gid, as numbers`);
}
