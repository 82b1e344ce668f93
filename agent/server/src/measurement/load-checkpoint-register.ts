import type { Configuration } from '@kata-agent/config';
import type { CheckpointEnvironment, CheckpointRegister } from './checkpoint-register.js';

/** Opens the register of checkpoints; its code is loaded only if the configuration has one. @throws CannotApply as `openCheckpointRegister` */
export async function loadCheckpointRegister(
  configuration: Configuration,
  environment: CheckpointEnvironment,
): Promise<CheckpointRegister | undefined> {
  const { checkpointPcr } = configuration.measurement;
  if (checkpointPcr === 'off') return undefined;
  const { openCheckpointRegister } = await import('./checkpoint-register.js');
  return openCheckpointRegister(checkpointPcr, configuration, environment);
}
