import type { Configuration } from '@kata-agent/config';
import { compileGate, type Gate } from '@kata-agent/gate';
import { builtInMethods } from './build.js';

/** The gate of this program: what the configuration serves to its listeners, of what was built in. */
export function agentGate(configuration: Configuration): Gate {
  const builtIn = builtInMethods();
  return compileGate(configuration, {
    listeners: configuration.listeners.map(({ name }) => name),
    ...(builtIn === undefined ? {} : { builtIn }),
  });
}
