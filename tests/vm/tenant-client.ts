import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientCertificate } from '../harness/authority.js';
import { ctlProgram } from '../harness/repository.js';
import { tenantPort } from './listeners.js';
import { shell } from './machine.js';
import type { RunningGuest } from './running-guest.js';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs kata-agent-ctl, away from any agent or with the address among the arguments, which are in groups. */
export async function ctl(...groups: readonly (readonly string[])[]): Promise<Ended> {
  const child = spawn(process.execPath, [ctlProgram, ...groups.flat()], {
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}

/** The tenant of a guest: calls it over TLS from outside. */
export class TenantClient {
  readonly #guest: RunningGuest;
  readonly #certificate: ClientCertificate;

  constructor(guest: RunningGuest, certificate: ClientCertificate) {
    this.#guest = guest;
    this.#certificate = certificate;
  }

  /** Runs a command of kata-agent-ctl at the tenant's listener. `port`: of this machine, if not the forwarded one. */
  async run(command: readonly string[], port?: number): Promise<Ended> {
    const { directory, machine } = this.#guest;
    writeFileSync(join(directory, 'cert'), this.#certificate.cert);
    writeFileSync(join(directory, 'key'), this.#certificate.key);
    const [verb = '', ...rest] = command;
    return ctl(
      [verb, '-a', `tls://127.0.0.1:${port ?? machine.port(tenantPort)}`, '--timeout', '60s'],
      ['--cert', join(directory, 'cert'), '--key', join(directory, 'key'), ...rest],
    );
  }

  /** The agent's key, as its boot record has it: the tests have a shell in the guest. */
  async pin(): Promise<string> {
    const line = await shell(this.#guest.machine, 'grep -m 1 \'"kind":"boot"\' /run/kata-agent/audit.log');
    return (JSON.parse(line) as { readonly facts: { readonly tls: { readonly pin: string } } }).facts.tls.pin;
  }
}
