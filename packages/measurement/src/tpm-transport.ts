import { MeasurementError } from './measurement-error.js';

/** The kernel's own resource manager. */
const kernelTransport = 'device:/dev/tpmrm0';

// Named devices and swtpm only: tpm2-tools would also run a command (`cmd:`) or load any library.
const allowed: RegExp =
  /^(?:device:\/dev\/tpm(?:rm)?\d{1,3}|swtpm:path=\/[\w./-]+|swtpm:host=(?:localhost|127\.0\.0\.1),port=\d{1,5})$/;

/**
 * How tpm2-tools reach the TPM. `TPM2TOOLS_TCTI` of the environment counts for tests and for odd devices, but not for
 * PID 1, whose environment holds words of the host's kernel line (S23). Throws a MeasurementError.
 */
export function tpmTransport(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number = process.pid,
): string {
  const given = environment['TPM2TOOLS_TCTI'];
  if (given === undefined || pid === 1) return kernelTransport;
  if (allowed.test(given)) return given;
  throw new MeasurementError(
    `environment TPM2TOOLS_TCTI names ${JSON.stringify(given)}: write device:/dev/tpmrm0 or swtpm:path=/SOCKET, or unset it`,
  );
}
