import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { MeasurementError, RegisterLog, tpmRegister, tpmTransport } from '@kata-agent/measurement';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { measurementDirectory } from './measure.js';

/**
 * How often a checkpoint is extended. An event log has every event since boot, and this makes 144 of them a day, of about half a KB each. The same
 * checkpoints go to FILE.checkpoint, and to witnesses, much more often.
 */
const everyMs = 600_000;

/** Extends checkpoints of the audit log into a register of the TPM. */
export interface CheckpointRegister {
  /** Extends the last checkpoint. */
  close(): Promise<void>;
}

/** What the register of checkpoints uses of the agent. */
export interface CheckpointEnvironment {
  readonly bootId: string;
  readonly audit: Pick<AuditLog, 'checkpoint'>;
  readonly log: Log;
}

/**
 * Extends the first checkpoint, and others from then on. Undefined: the TPM does not answer and is not required.
 *
 * @throws CannotApply if the TPM is required and the first checkpoint was not extended. Later failures are logged.
 */
export async function openCheckpointRegister(
  checkpointPcr: number,
  { measurement: { tpm } }: Pick<Configuration, 'measurement'>,
  { bootId, audit, log }: CheckpointEnvironment,
): Promise<CheckpointRegister | undefined> {
  let extendedSize = 0;
  const failed = (error: unknown): void =>
    log('warn', 'a checkpoint of the audit log is not measured', {
      register: `PCR ${checkpointPcr}`,
      reason: error instanceof Error ? error.message : String(error),
    });
  try {
    const register = tpmRegister(checkpointPcr, tpmTransport(process.env));
    const place = { directory: measurementDirectory, bootId, name: 'checkpoints' };
    const registerLog = await RegisterLog.open(register, place);
    const extend = async (): Promise<void> => {
      const { size, checkpoint } = await audit.checkpoint();
      if (size === extendedSize) return;
      await registerLog.extend(Buffer.from(checkpoint));
      extendedSize = size;
    };
    await extend();
    const timer = setInterval(() => void extend().catch(failed), everyMs).unref();
    return {
      close: async () => {
        clearInterval(timer);
        await extend().catch(failed);
      },
    };
  } catch (error) {
    if (!(error instanceof MeasurementError)) throw error;
    if (tpm === 'require')
      throw new CannotApply(
        `the audit log could not be measured into PCR ${checkpointPcr}, which is required: ${error.message}`,
        { cause: error },
      );
    failed(error);
    return undefined;
  }
}
