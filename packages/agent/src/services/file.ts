import * as perform from '@kata-agent/guest';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';

/** An int64 of the wire as a number; what a number cannot hold is no size or offset of a file. */
function fileOffset(name: string, value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new TtrpcError(Code.InvalidArgument, `${name} ${value}: not a position in a file`);
  }
  return Number(value);
}

export const copyFile: Handler<'copyFile'> = async ({ guest }, request) => {
  await perform.copyFile(guest, {
    path: request.path,
    fileSize: fileOffset('file_size', request.fileSize),
    fileMode: request.fileMode,
    dirMode: request.dirMode,
    uid: request.uid,
    gid: request.gid,
    offset: fileOffset('offset', request.offset),
    data: request.data,
  });
  return {};
};
