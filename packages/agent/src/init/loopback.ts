import { type Complaint, startTool } from './run-tool.js';

/** Brings `lo` up: containers of a pod talk over it, and no runtime asks for it. */
export function raiseLoopback(ip = '/sbin/ip'): Promise<Complaint> {
  return startTool(ip, ['link', 'set', 'dev', 'lo', 'up']);
}
