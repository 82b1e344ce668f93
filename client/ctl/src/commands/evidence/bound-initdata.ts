import { hostDataDigest, parseInitdata, renderDiagnostic } from '@kata-agent/config';
import { CommandError, ExitCode, readInput } from '@kata-agent/cli';

/** Returns the value that the host must pass to the hardware at launch for this initdata. Throws a CommandError. */
export function boundInitdata(path: string): {
  readonly hostData: Uint8Array;
  readonly mrConfigId: Uint8Array;
} {
  const envelope = readInput(path);
  const parsed = parseInitdata(envelope, path);
  if (!parsed.ok)
    throw new CommandError(
      ExitCode.Failed,
      parsed.diagnostics.map((one) => renderDiagnostic(one)).join('\n'),
    );
  const initdata = { envelope, algorithm: parsed.algorithm };
  return {
    hostData: hostDataDigest(initdata, 'HOSTDATA'),
    mrConfigId: hostDataDigest(initdata, 'MRCONFIGID'),
  };
}
