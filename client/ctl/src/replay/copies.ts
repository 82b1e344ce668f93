import { sharedDirectory } from '@kata-agent/catalogue';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type CopyFileRequest, CopyFileRequestSchema } from '@kata-agent/protocol/agent';

/** The chunk size of the runtimes (Kata 4.1, kata_agent.go: grpcMaxDataSize). */
const pieceBytes = 1024 * 1024;
const regular = 0o100644;

/** Returns the calls that write a file with this text. `to` is below the shared directory. */
export function copyText(to: string, text: string, mode: number = regular): readonly CopyFileRequest[] {
  return pieces(join(sharedDirectory, to), Buffer.from(text), mode);
}

/** Returns the calls that copy a file, link or directory of the host recursively. Throws the file system's errors. */
export function copyTree(from: string, to: string): readonly CopyFileRequest[] {
  return copyOf(from, join(sharedDirectory, to));
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

/** An empty file needs one chunk too. */
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
