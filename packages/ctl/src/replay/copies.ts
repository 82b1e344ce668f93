import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type CopyFileRequest, CopyFileRequestSchema } from '@kata-agent/protocol/agent';

/** Where an agent puts files that come by CopyFile; it refuses all other places. */
const sharedFolder = '/run/kata-containers/shared/containers';

/** As much as the runtimes send at once (Kata 4.1, kata_agent.go: grpcMaxDataSize). */
const pieceBytes = 1024 * 1024;
const regular = 0o100644;

/** The calls that make a file with this text. `to` lies below the shared folder. */
export function copyText(to: string, text: string, mode: number = regular): readonly CopyFileRequest[] {
  return pieces(join(sharedFolder, to), Buffer.from(text), mode);
}

/** The calls that copy a file, link or folder of the host with all that is in it. Throws the file system's errors. */
export function copyTree(from: string, to: string): readonly CopyFileRequest[] {
  return copyOf(from, join(sharedFolder, to));
}

function copyOf(from: string, path: string): readonly CopyFileRequest[] {
  const entry = lstatSync(from);
  if (entry.isSymbolicLink()) {
    return [request(path, entry.mode, { data: Uint8Array.from(Buffer.from(readlinkSync(from))) })];
  }
  if (!entry.isDirectory()) return pieces(path, readFileSync(from), entry.mode);
  return [
    request(path, entry.mode, {}),
    ...readdirSync(from).flatMap((name) => copyOf(join(from, name), `${path}/${name}`)),
  ];
}

/** An empty file is sent too, so that it exists. */
function pieces(path: string, content: Buffer, fileMode: number): readonly CopyFileRequest[] {
  const count = Math.max(1, Math.ceil(content.length / pieceBytes));
  return Array.from({ length: count }, (_, index) => {
    const offset = index * pieceBytes;
    const data = Uint8Array.from(content.subarray(offset, offset + pieceBytes));
    return request(path, fileMode, { data, offset: BigInt(offset), fileSize: BigInt(content.length) });
  });
}

function request(
  path: string,
  fileMode: number,
  rest: { readonly data?: Uint8Array<ArrayBuffer>; readonly offset?: bigint; readonly fileSize?: bigint },
): CopyFileRequest {
  return create(CopyFileRequestSchema, { path, fileMode, dirMode: 0o755, ...rest });
}
