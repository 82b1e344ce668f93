import type { BackendSettings, PreparedBackend } from './backend.js';

/**
 * Prepares the backend of a configuration. The code of the other one is not loaded: with `forward` the agent needs nothing of
 * the guest's.
 *
 * @throws CannotApply if it cannot work here.
 */
export async function loadBackend(settings: BackendSettings): Promise<PreparedBackend> {
  const { forward } = settings.configuration.settings;
  if (forward !== undefined) {
    const { prepareForward } = await import('../forward/forward-backend.js');
    return prepareForward(forward, settings);
  }
  const { prepareGuest } = await import('./guest-backend.js');
  return prepareGuest(settings);
}
