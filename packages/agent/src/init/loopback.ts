import { spawnSync } from 'node:child_process';

/** Brings `lo` up: containers of a pod talk over it, and no runtime asks for it. Answers what went wrong, or undefined. */
export function raiseLoopback(ip = '/sbin/ip'): string | undefined {
  const { error, status, stderr } = spawnSync(ip, ['link', 'set', 'dev', 'lo', 'up'], {
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (error !== undefined) return `${ip}: ${error.message}`;
  return status === 0 ? undefined : `${ip} link set lo up: ${stderr.trim()}`;
}
