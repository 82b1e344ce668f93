import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeasurementError, reasonOf } from './register.js';

/** Sends a command to a TPM and returns its response. Throws a MeasurementError when there is no TPM or no response. */
export type TpmTransport = (command: Uint8Array) => Promise<Uint8Array>;

/**
 * Runs work with one connection to a TPM. The kernel's resource manager removes keys and sessions that were made in a connection
 * when it is closed, and keeps them apart from those of others.
 */
export type TpmConnector = <T>(work: (transport: TpmTransport) => Promise<T>) => Promise<T>;

/** The kernel's resource manager. */
const kernelDevice = 'device:/dev/tpmrm0';

/** Longer than the response to any command used here (TPM_PT_MAX_RESPONSE_SIZE). */
const longestAnswer = 4096;

/** Keeps a hanging software TPM from blocking the start forever. For devices the kernel has its own timeouts. */
const patienceMs = 30_000;

/**
 * Opens the kernel's TPM device, or the one that `TPM2TOOLS_TCTI` of the environment names in the syntax of tpm2-tools,
 * for tests and unusual devices; for each command anew. PID 1 ignores its environment, which contains words of the host's kernel
 * command line (S23). Throws a MeasurementError.
 */
export function tpmTransport(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number = process.pid,
): TpmTransport {
  const connector = tpmConnector(environment, pid);
  return (command) => connector((transport) => transport(command));
}

/** Returns what connects to the TPM that `tpmTransport` uses. Throws a MeasurementError. */
export function tpmConnector(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number = process.pid,
): TpmConnector {
  const connector = connectorOf(environment, pid);
  return (work) => connector((transport) => work((command) => retried(command, transport)));
}

/**
 * Sends a command until the TPM takes it: one that tests itself, or is interrupted, asks to send the command again (part 2,
 * 6.6.3: TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY). The kernel does so for some commands only.
 */
async function retried(command: Uint8Array, transport: TpmTransport): Promise<Uint8Array> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await transport(command);
    if (attempt >= attempts || answer.length < 10) return answer;
    if (!again.includes(Buffer.from(answer).readUInt32BE(6))) return answer;
    await sleep(retryMs);
  }
}

const again: readonly number[] = [0x908, 0x90a, 0x922];
const retryMs = 20;
const attempts = 100;

function connectorOf(environment: Readonly<Record<string, string | undefined>>, pid: number): TpmConnector {
  const given = environment['TPM2TOOLS_TCTI'];
  const place = given === undefined || pid === 1 ? kernelDevice : given;
  const device = /^device:(\/dev\/tpm(?:rm)?\d{1,3})$/.exec(place)?.[1];
  if (device !== undefined) return (work) => withDevice(device, work);
  const socket = /^swtpm:path=(\/[\w./-]+)$/.exec(place)?.[1];
  if (socket !== undefined) return (work) => withSocket(socket, work);
  throw new MeasurementError(
    `environment TPM2TOOLS_TCTI names ${JSON.stringify(given)}: write device:/dev/tpmrm0 or swtpm:path=/SOCKET, or unset it`,
  );
}

/**
 * Returns the file of the firmware's event log of the TPM that `tpmTransport` uses. Undefined for a software TPM behind a socket,
 * which no firmware has used.
 */
export function firmwareLogPath(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number = process.pid,
): string | undefined {
  const given = environment['TPM2TOOLS_TCTI'];
  const place = given === undefined || pid === 1 ? kernelDevice : given;
  const number = /^device:\/dev\/tpm(?:rm)?(\d{1,3})$/.exec(place)?.[1];
  return number === undefined ? undefined : `/sys/kernel/security/tpm${number}/binary_bios_measurements`;
}

async function reach<T>(place: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const message = `the TPM at ${place} does not answer: ${reasonOf(error)}: a guest with a TPM 2.0 is required`;
    throw new MeasurementError(message, { cause: error });
  }
}

/** The kernel takes a command in one write and returns its response in one read (Documentation/security/tpm). */
async function withDevice<T>(path: string, work: (transport: TpmTransport) => Promise<T>): Promise<T> {
  const device = await reach(path, () => open(path, 'r+'));
  try {
    return await work((command) =>
      reach(path, async () => {
        await device.write(command);
        const { buffer, bytesRead } = await device.read(Buffer.alloc(longestAnswer));
        return buffer.subarray(0, bytesRead);
      }),
    );
  } finally {
    await device.close();
  }
}

/** swtpm keeps the connection open after its response, whose length is in bytes 2 to 5. */
async function withSocket<T>(path: string, work: (transport: TpmTransport) => Promise<T>): Promise<T> {
  const socket = connect(path);
  socket.setTimeout(patienceMs, () => socket.destroy(new Error(`no answer in ${patienceMs / 1000} s`)));
  const chunks = (socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  try {
    return await work((command) =>
      reach(path, async () => {
        socket.write(command);
        let answer = Buffer.alloc(0);
        while (answer.length < 6 || answer.length < Math.min(answer.readUInt32BE(2), longestAnswer)) {
          const { done, value } = await chunks.next();
          if (done === true) break;
          answer = Buffer.concat([answer, value]);
        }
        return answer;
      }),
    );
  } finally {
    socket.destroy();
  }
}
