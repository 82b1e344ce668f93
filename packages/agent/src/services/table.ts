import * as container from './container.js';
import * as file from './file.js';
import type { HandlerTable } from './handler.js';
import * as memory from './memory.js';
import * as network from './network.js';
import * as observation from './observation.js';
import * as policy from './policy.js';
import * as process from './process.js';
import * as resources from './resources.js';
import * as sandbox from './sandbox.js';
import * as stdio from './stdio.js';
import * as template from './template.js';
import * as volumes from './volumes.js';

/** The map of the agent: from each method of AgentService to its handler. They meet nowhere else. */
export const handlers: HandlerTable = {
  createSandbox: sandbox.createSandbox,
  destroySandbox: sandbox.destroySandbox,
  getGuestDetails: sandbox.getGuestDetails,
  getOOMEvent: sandbox.getOOMEvent,

  createContainer: container.createContainer,
  startContainer: container.startContainer,
  removeContainer: container.removeContainer,
  pauseContainer: container.pauseContainer,
  resumeContainer: container.resumeContainer,
  updateContainer: container.updateContainer,
  statsContainer: container.statsContainer,

  execProcess: process.execProcess,
  signalProcess: process.signalProcess,
  waitProcess: process.waitProcess,

  readStdout: stdio.readStdout,
  readStderr: stdio.readStderr,
  writeStdin: stdio.writeStdin,
  closeStdin: stdio.closeStdin,
  ttyWinResize: stdio.ttyWinResize,

  copyFile: file.copyFile,
  setPolicy: policy.setPolicy,

  updateEphemeralMounts: volumes.updateEphemeralMounts,
  removeStaleVirtiofsShareMounts: volumes.removeStaleVirtiofsShareMounts,
  getDiagnosticData: observation.getDiagnosticData,
  updateInterface: network.updateInterface,
  updateRoutes: network.updateRoutes,
  listInterfaces: network.listInterfaces,
  listRoutes: network.listRoutes,
  addARPNeighbors: network.addARPNeighbors,
  getIPTables: network.getIPTables,
  setIPTables: network.setIPTables,
  getMetrics: observation.getMetrics,
  memAgentMemcgSet: memory.memAgentMemcgSet,
  memAgentCompactSet: memory.memAgentCompactSet,
  onlineCPUMem: resources.onlineCPUMem,
  reseedRandomDev: template.reseedRandomDev,
  memHotplugByProbe: resources.memHotplugByProbe,
  setGuestDateTime: template.setGuestDateTime,
  addSwap: resources.addSwap,
  addSwapPath: resources.addSwapPath,
  getVolumeStats: volumes.getVolumeStats,
  resizeVolume: volumes.resizeVolume,
};
