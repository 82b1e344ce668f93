import * as containers from './containers.js';
import type { HandlerTable } from './handler.js';
import * as memory from './memory.js';
import * as network from './network.js';
import * as observation from './observation.js';
import * as processes from './processes.js';
import * as sandbox from './sandbox.js';
import * as storage from './storage.js';

/**
 * Maps each method of AgentService to its handler. This is the only place that lists both. The areas are those of the
 * catalogue (`lib/catalogue/src/endpoints`), and of the guest's work (`agent/guest/src/perform`).
 */
export const handlers: HandlerTable = {
  createSandbox: sandbox.createSandbox,
  destroySandbox: sandbox.destroySandbox,
  getGuestDetails: sandbox.getGuestDetails,
  getOOMEvent: sandbox.getOOMEvent,
  reseedRandomDev: sandbox.reseedRandomDev,
  setGuestDateTime: sandbox.setGuestDateTime,
  setPolicy: sandbox.setPolicy,

  createContainer: containers.createContainer,
  startContainer: containers.startContainer,
  removeContainer: containers.removeContainer,
  updateContainer: containers.updateContainer,
  statsContainer: containers.statsContainer,
  pauseContainer: containers.pauseContainer,
  resumeContainer: containers.resumeContainer,

  execProcess: processes.execProcess,
  signalProcess: processes.signalProcess,
  waitProcess: processes.waitProcess,
  writeStdin: processes.writeStdin,
  readStdout: processes.readStdout,
  readStderr: processes.readStderr,
  closeStdin: processes.closeStdin,
  ttyWinResize: processes.ttyWinResize,

  updateInterface: network.updateInterface,
  updateRoutes: network.updateRoutes,
  listInterfaces: network.listInterfaces,
  listRoutes: network.listRoutes,
  addARPNeighbors: network.addARPNeighbors,
  getIPTables: network.getIPTables,
  setIPTables: network.setIPTables,

  onlineCPUMem: memory.onlineCPUMem,
  memHotplugByProbe: memory.memHotplugByProbe,
  addSwap: memory.addSwap,
  addSwapPath: memory.addSwapPath,
  memAgentMemcgSet: memory.memAgentMemcgSet,
  memAgentCompactSet: memory.memAgentCompactSet,

  copyFile: storage.copyFile,
  updateEphemeralMounts: storage.updateEphemeralMounts,
  removeStaleVirtiofsShareMounts: storage.removeStaleVirtiofsShareMounts,
  getVolumeStats: storage.getVolumeStats,
  resizeVolume: storage.resizeVolume,

  getMetrics: observation.getMetrics,
  getDiagnosticData: observation.getDiagnosticData,
};
