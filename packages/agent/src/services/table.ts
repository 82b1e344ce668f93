import * as container from './container.js';
import * as file from './file.js';
import type { HandlerTable } from './handler.js';
import { notBuilt } from './not-built.js';
import * as policy from './policy.js';
import * as process from './process.js';
import * as sandbox from './sandbox.js';
import * as stdio from './stdio.js';

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

  updateEphemeralMounts: notBuilt('UpdateEphemeralMounts'),
  removeStaleVirtiofsShareMounts: notBuilt('RemoveStaleVirtiofsShareMounts'),
  getDiagnosticData: notBuilt('GetDiagnosticData'),
  updateInterface: notBuilt('UpdateInterface'),
  updateRoutes: notBuilt('UpdateRoutes'),
  listInterfaces: notBuilt('ListInterfaces'),
  listRoutes: notBuilt('ListRoutes'),
  addARPNeighbors: notBuilt('AddARPNeighbors'),
  getIPTables: notBuilt('GetIPTables'),
  setIPTables: notBuilt('SetIPTables'),
  getMetrics: notBuilt('GetMetrics'),
  memAgentMemcgSet: notBuilt('MemAgentMemcgSet'),
  memAgentCompactSet: notBuilt('MemAgentCompactSet'),
  onlineCPUMem: notBuilt('OnlineCPUMem'),
  reseedRandomDev: notBuilt('ReseedRandomDev'),
  memHotplugByProbe: notBuilt('MemHotplugByProbe'),
  setGuestDateTime: notBuilt('SetGuestDateTime'),
  addSwap: notBuilt('AddSwap'),
  addSwapPath: notBuilt('AddSwapPath'),
  getVolumeStats: notBuilt('GetVolumeStats'),
  resizeVolume: notBuilt('ResizeVolume'),
};
