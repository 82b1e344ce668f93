import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { MeasurementError, reasonOf } from './measurement-error.js';

/** Sends a command to a TPM and gives its answer. Throws a MeasurementError when there is no TPM, or none that answers. */
export type TpmTransport = (command: Uint8Array) => Promise<Uint8Array>;

/** The kernel's own resource manager. */
const kernelDevice = 'device:/dev/tpmrm0';

/** No command of ours is answered with more (TPM_PT_MAX_RESPONSE_SIZE). */
const longestAnswer = 4096;

/** A TPM in software that hangs must not keep the pod from failing. The kernel has time limits for devices itself. */
const patienceMs = 30_000;

/**
 * The way to the TPM: the kernel's device, or what `TPM2TOOLS_TCTI` of the environment names in the words of tpm2-tools, for
 * tests and odd devices. PID 1 does not listen to its environment, which holds words of the host's kernel line (S23).
 * Throws a MeasurementError.
 */
export function tpmTransport(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number = process.pid,
): TpmTransport {
  const given = environment['TPM2TOOLS_TCTI'];
  const place = given === undefined || pid === 1 ? kernelDevice : given;
  const device = /^device:(\/dev\/tpm(?:rm)?\d{1,3})$/.exec(place)?.[1];
  if (device !== undefined) return (command) => reach(device, () => askDevice(device, command));
  const socket = /^swtpm:path=(\/[\w./-]+)$/.exec(place)?.[1];
  if (socket !== undefined) return (command) => reach(socket, () => askSocket(socket, command));
  throw new MeasurementError(
    `environment TPM2TOOLS_TCTI names ${JSON.stringify(given)}: write device:/dev/tpmrm0 or swtpm:path=/SOCKET, or unset it`,
  );
}

async function reach(place: string, ask: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await ask();
  } catch (error) {
    const message = `the TPM at ${place} does not answer: ${reasonOf(error)}: it takes a guest with a TPM 2.0`;
    throw new MeasurementError(message, { cause: error });
  }
}

/** The kernel takes a command in one write, and has its answer ready for one read (Documentation/security/tpm). */
async function askDevice(path: string, command: Uint8Array): Promise<Uint8Array> {
  const device = await open(path, 'r+');
  try {
    await device.write(command);
    const { buffer, bytesRead } = await device.read(Buffer.alloc(longestAnswer));
    return buffer.subarray(0, bytesRead);
  } finally {
    await device.close();
  }
}

/** swtpm keeps the connection open after its answer, whose length stands in its third to sixth byte. */
async function askSocket(path: string, command: Uint8Array): Promise<Uint8Array> {
  const socket = connect(path);
  socket.setTimeout(patienceMs, () => socket.destroy(new Error(`no answer in ${patienceMs / 1000} s`)));
  try {
    socket.write(command);
    let answer = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length >= 6 && answer.length >= Math.min(answer.readUInt32BE(2), longestAnswer)) break;
    }
    return answer;
  } finally {
    socket.destroy();
  }
}
