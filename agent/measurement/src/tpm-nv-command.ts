import { MeasurementError } from './measurement-error.js';
import { command, emptyPassword, tag, type TpmCommand, u16, u32 } from './tpm-command.js';

// The TPM 2.0 commands that read an NV index (TPM 2.0 Library, part 3: 31.6, 31.13).

/** Every TPM answers so many bytes at once: the least of MAX_NV_BUFFER_SIZE (TCG PC Client Platform TPM Profile). */
const atOnce = 512;

/** Returns the number of bytes of an index. */
function tpmNvSize(index: number): TpmCommand<number> {
  return command('TPM2_NV_ReadPublic', 0x169, [u32(index)], (answer) => {
    answer.u16(); // size of TPMS_NV_PUBLIC
    answer.u32(); // nvIndex
    answer.u16(); // nameAlg
    answer.u32(); // attributes
    answer.take(answer.u16()); // authPolicy
    return answer.u16();
  });
}

/** Reads a part of an index, which must be readable with its own empty password. */
function tpmNvRead(index: number, offset: number, length: number): TpmCommand<Uint8Array> {
  const parameters = [u32(index), u32(index), ...emptyPassword(), u16(length), u16(offset)];
  return command(
    'TPM2_NV_Read',
    0x14e,
    parameters,
    (answer) => {
      answer.u32(); // size of the parameters
      return new Uint8Array(answer.take(answer.u16()));
    },
    tag.sessions,
  );
}

/** Reads all of an index. Throws a MeasurementError that names it. */
export async function readNvIndex(
  index: number,
  run: <T>(command: TpmCommand<T>) => Promise<T>,
): Promise<Uint8Array> {
  try {
    const size = await run(tpmNvSize(index));
    const parts: Uint8Array[] = [];
    for (let at = 0; at < size; at += atOnce)
      parts.push(await run(tpmNvRead(index, at, Math.min(atOnce, size - at))));
    return new Uint8Array(Buffer.concat(parts));
  } catch (error) {
    if (!(error instanceof MeasurementError)) throw error;
    throw new MeasurementError(
      `the NV index 0x${index.toString(16)} of the TPM cannot be read: ${error.message}; it must have the attribute authread and an empty password`,
      { cause: error },
    );
  }
}
