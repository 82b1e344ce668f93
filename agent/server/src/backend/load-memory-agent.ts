import type { Configuration } from '@kata-agent/config';
import type { Guest, MemoryAgent } from '@kata-agent/guest';

/** Starts the memory agent, whose code is loaded only if the configuration enables it. */
export async function loadMemoryAgent(
  configuration: Pick<Configuration, 'settings'>,
  guest: Guest,
): Promise<MemoryAgent | undefined> {
  if (!configuration.settings.memAgentEnable) return undefined;
  const { startMemoryAgent } = await import('./memory-agent.js');
  return startMemoryAgent(configuration, guest);
}
