import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPath } from 'node:net';
import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

import { Health } from '@kata-agent/protocol/health';
import { type Client, connect, createClient } from '@kata-agent/ttrpc';
import {
  certificatePem,
  encodeName,
  type Extension,
  extendedKeyUsage,
  makeCertificate,
  Oid,
} from '@kata-agent/x509';

import { ownPlace } from './agent-program.js';
import { tracked } from './children.js';
import type { Row } from './row.js';

/** An address of loopback that no other program uses. */
const host = '127.83.19.7';
const port = 8443;

/**
 * Measures calls of one agent over TLS against those over its unix socket, a handshake, and the memory that a `tls://` listener
 * costs. The client shares the processors with the agent.
 */
export async function measureTls(program: string, quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-tls-'));
  const client = clientCertificate();
  try {
    const without = await withAgent(program, join(directory, 'plain'), '', (agent) => agent.megabytes());
    const listener = `[[listener]]\nname = "tenant"\naddress = "tls://${host}:${port}"\npeers = ["*"]\ntls = { client_ca = ${JSON.stringify(client.ca)} }\nlimits = { handshakes_per_second = 1000 }\n`;
    return await withAgent(program, join(directory, 'tls'), listener, async (agent) => {
      const rows: Row[] = [
        {
          what: 'memory with a tls:// listener',
          unit: 'MB',
          ours: agent.megabytes(),
          against: { name: 'without', value: without },
        },
      ];
      const milliseconds = quick ? 500 : 3_000;
      for (const callers of [1, 16, 64]) {
        // In turn, the second round counts.
        let unix = 0;
        let tls = 0;
        for (let round = 0; round < 2; round += 1) {
          unix = await rate(await overUnix(agent.socket), callers, milliseconds);
          tls = await rate(await overTls(client), callers, milliseconds);
        }
        const against = { name: 'unix socket', value: unix };
        rows.push({ what: `Health.Check over TLS, ${callers} callers`, unit: '1/s', ours: tls, against });
      }
      const begin = performance.now();
      const handshakes = quick ? 10 : 100;
      for (let count = 0; count < handshakes; count += 1) {
        const connection = await overTls(client);
        await connection.health.check({});
        connection.close();
      }
      const each = (performance.now() - begin) / handshakes;
      rows.push({ what: 'a handshake and a call, both ends', unit: 'ms', ours: each });
      return rows;
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface BenchAgent {
  readonly socket: string;
  /** Resident. */
  megabytes(): number;
}

async function withAgent<T>(
  program: string,
  directory: string,
  listener: string,
  work: (agent: BenchAgent) => T | Promise<T>,
): Promise<T> {
  mkdirSync(directory);
  const socket = `${directory}.sock`;
  const file = `${directory}.toml`;
  const own = `[[listener]]\nname = "host"\naddress = "unix://${socket}"\n`;
  const audit = `[audit]\nfile = "${directory}.audit"\n`;
  const api = '[api]\nrelease = "4.1"\nallowed_endpoints = ["GetGuestDetails"]\n';
  writeFileSync(file, `${api}${audit}${own}${listener}`, { mode: 0o600 });
  const args = [program, '-c', file, ...ownPlace(directory, socket).slice(2)];
  const child = tracked(spawn(process.execPath, args, { stdio: 'ignore' }));
  const exited = once(child, 'close');
  try {
    while (!existsSync(socket)) {
      if (child.exitCode !== null) throw new Error('the agent ended before it listened');
      await delay(5);
    }
    await delay(1_000);
    const status = (): string => readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const megabytes = (): number => Number(/^VmRSS:\s+(\d+)/m.exec(status())?.[1]) / 1024;
    return await work({ socket, megabytes });
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}

/** basicConstraints with CA:TRUE. */
const certificateAuthority: Extension = {
  oid: Oid.BasicConstraints,
  critical: true,
  value: Buffer.from('30030101ff', 'hex'),
};

interface ClientCertificate {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

function clientCertificate(): ClientCertificate {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = encodeName([[{ type: 'CN', text: 'bench CA' }]]);
  const sign = (subject: Uint8Array, publicKey: KeyObject, extensions: readonly Extension[]): string =>
    certificatePem(
      makeCertificate(
        {
          issuer,
          subject,
          notBefore: Date.UTC(2026, 0),
          notAfter: Date.now() + 86_400_000,
          publicKey,
          extensions,
        },
        authority.privateKey,
      ),
    );
  return {
    ca: sign(issuer, authority.publicKey, [certificateAuthority]),
    cert: sign(encodeName([[{ type: 'CN', text: 'bench' }]]), own.publicKey, [
      extendedKeyUsage([Oid.ClientAuth]),
    ]),
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

interface Connection {
  readonly health: Client<typeof Health>;
  close(): void;
}

function over(socket: Duplex): Connection {
  const channel = connect(socket);
  return { health: createClient(Health, channel), close: () => channel.close() };
}

async function overUnix(path: string): Promise<Connection> {
  const socket = connectPath(path);
  await once(socket, 'connect');
  return over(socket);
}

async function overTls({ cert, key }: ClientCertificate): Promise<Connection> {
  // The benchmark's own agent, whose key it does not verify.
  const options = { host, port, cert, key, ALPNProtocols: ['kata-agent-ttrpc'], rejectUnauthorized: false };
  const socket = connectTls(options);
  await once(socket, 'secureConnect');
  return over(socket);
}

/** Calls per second of so many callers on one connection, which is closed then. */
async function rate(connection: Connection, callers: number, milliseconds: number): Promise<number> {
  let calls = 0;
  const end = performance.now() + milliseconds;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      await connection.health.check({});
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  connection.close();
  return (calls / milliseconds) * 1_000;
}
