import { Phases } from '@kata-agent/base';
import { Stopped, Shutdown } from './startup/shutdown.js';
import type { AgentStart } from './start/agent-start.js';
import {
  followLog,
  makeKey,
  openAudit,
  openCheckpoints,
  openEvidence,
  prepareBackend,
  recordBoot,
  startComponents,
} from './start/record-boot.js';
import {
  assembleServer,
  dialServers,
  finish,
  openBackend,
  openListeners,
  openSideChannels,
  restorePolicy,
} from './start/serve-calls.js';
import {
  acceptStop,
  addExtensions,
  checkFlags,
  hardenKernel,
  lockState,
  measure,
  persistDelivered,
  separateFromGuest,
  setClock,
} from './start/settle-guest.js';

/** A running agent. */
export interface RunningAgent {
  /**
   * Resolves when the agent has ended: no new calls, running calls answered, the guest's resources released, the audit
   * log closed.
   */
  readonly ended: Promise<void>;
}

/**
 * The phases of the start, whose order is that of S7: the configuration is measured before it takes effect; the audit log is open
 * and has its record before a listener opens; and nothing after that changes the configuration. The comments say why a phase is
 * where it is; docs/request-lifecycle.md, "Before the first request", has the list for readers.
 */
const start = Phases.from<AgentStart>()
  // Before any effect on the guest: a flag for development is refused.
  .add('checked', checkFlags)
  // Before anything is checked or recorded by the clock.
  .add('clock', setClock)
  // Before anything in the directory is read: two agents never share one.
  .add('state', lockState)
  // Before the first mount of a request: none reaches the agent's files, and no container fills their file system.
  .add('separated', separateFromGuest)
  // Before the configuration takes effect.
  .add('measured', measure)
  // After the measurement, since guest components run with it; a document that is missing since a crash ends the start here.
  .add('delivered', persistDelivered)
  // After the measurement, which has what the configuration permits; before guest components, whose programs can be in them.
  .add('extensions', addExtensions)
  // Before any program of a component, or of a container, runs.
  .add('hardened', hardenKernel)
  // Until here a signal ends the process: there is nothing to release.
  .add('stoppable', acceptStop)
  // Before the first call, and before any program of the guest runs.
  .add('opened', openAudit)
  // Their configuration is in force and measured, and no container runs yet.
  .add('started', startComponents)
  // Before the first record, which says what serves calls.
  .add('prepared', prepareBackend)
  // Before the first record, which has the key's pin.
  .add('tls', makeKey)
  // Before the first record, from which on `required_within` counts.
  .add('witnesses', followLog)
  // Before a policy, a container or a caller is looked at: the record says under which configuration.
  .add('recorded', recordBoot)
  // After the first record: the first checkpoint that is extended has it.
  .add('checkpoints', openCheckpoints)
  // Before a listener uses the keys: they are measured here.
  .add('attester', openEvidence)
  // Before the guest, and before a listener: a policy of before a crash is in force from the first call on.
  .add('inForce', restorePolicy)
  // After the policy, which decides who reads the output of containers that are restored.
  .add('served', openBackend)
  // After the backend: at the end the guest stops first, and the server sends its last answers.
  .add('serve', assembleServer)
  // Before the runtime can connect, which expects them.
  .add('sideChannelsOpen', openSideChannels)
  // After all that decides, records and acts: here the first call can arrive.
  .add('listening', openListeners)
  // Servers are dialled last: an attempt can take long, and no pod waits for one (R14).
  .add('dialled', dialServers)
  // Nothing after it: a requested shutdown begins here.
  .add('ready', finish);

/**
 * Starts an agent with a configuration.
 *
 * @throws CannotApply if a development flag is not permitted, if an extension image is refused, if state directory, measurement, address, audit log or
 * guest are not available, and as PID 1 also without an OCI runtime. Stopped if the end was requested before it
 * listens. Everything is released in either case.
 */
export async function startAgent(
  configuration: AgentStart['configuration'],
  environment: Omit<AgentStart, 'configuration' | 'shutdown'>,
): Promise<RunningAgent> {
  const shutdown = new Shutdown(environment.log);
  try {
    await start.run({ ...environment, configuration, shutdown });
    return { ended: shutdown.done };
  } catch (error) {
    // Before the audit log is open there is nothing to release.
    if (shutdown.isEmpty) throw error;
    shutdown.begin(error instanceof Stopped ? error.message : 'start failed');
    await shutdown.done;
    throw error;
  }
}
