import { type FileHandle, open } from 'node:fs/promises';
import { AgentService } from '@kata-agent/protocol/agent';
import type { CommandDefinition, Invocation } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import type { Agent } from '../connection/agent.js';
import { withAgent } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { print } from '../output/print.js';

/** Where an agent puts files that come by CopyFile; it refuses all other places. */
const sharedFolder = '/run/kata-containers/shared/containers';
/** Well below the 4 MiB that a frame may have. */
const pieceBytes = 1024 * 1024;
const parentMode = 0o755;
const largestId = 0x7fff_ffff;

export const cp: CommandDefinition = {
  path: 'cp',
  summary: 'copy a file into the guest',
  details: [
    `Calls CopyFile. A relative target lies below ${sharedFolder}, where containers’ files are shared from; the agent refuses other places. Permissions are kept; the owner is root unless --owner says otherwise.`,
  ],
  operands: [
    { syntax: '<file>', says: 'a regular file here' },
    { syntax: '<target>', says: 'its path in the guest' },
  ],
  options: [{ flags: '--owner <uid:gid>', says: 'the owner in the guest, in numbers (default: 0:0)' }],
  examples: [
    {
      line: 'kata-agent-ctl cp resolv.conf web/resolv.conf',
      says: `Writes ${sharedFolder}/web/resolv.conf.`,
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const [source = '', target = ''] = invocation.operands;
    const owner = parseOwner(invocation);
    const path = target.startsWith('/') ? target : `${sharedFolder}/${target}`;
    const file = await openSource(source);
    try {
      const { mode, size } = await file.stat();
      await withAgent(invocation, (agent) => copy(agent, file, { path, mode, size, ...owner }));
      await print(invocation, { path, bytes: size }, () => '');
    } finally {
      await file.close();
    }
    return ExitCode.Fine;
  },
};

interface Target {
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
}

/** Sends the file in pieces; an empty one is sent too, so that an empty file exists. */
async function copy(agent: Agent, file: FileHandle, target: Target): Promise<void> {
  const { path, mode, size, uid, gid } = target;
  const buffer = Buffer.alloc(Math.min(pieceBytes, size));
  let offset = 0;
  do {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - offset), offset);
    if (bytesRead === 0 && size > 0) {
      throw new CommandError(
        ExitCode.CannotApply,
        `the file became shorter while it was copied: ${offset} of ${size} bytes were sent`,
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

async function openSource(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
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
  throw new CommandError(ExitCode.Usage, `--owner '${text}': it has to be uid:gid in numbers`);
}
