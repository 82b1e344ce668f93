import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Message } from '@bufbuild/protobuf';
import { AgentService, type ReadStreamRequest } from '@kata-agent/protocol/agent';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import { createServer as createTtrpcServer, type ServiceImplementation, service } from '@kata-agent/ttrpc';

export type Handlers = Partial<ServiceImplementation<typeof AgentService, null>>;

export interface FakeProcess {
  readonly stdout?: readonly string[];
  readonly stderr?: readonly string[];
  readonly status?: number;
  /** Echoes standard input, and ends with it. */
  readonly echo?: boolean;
  /** Ends with 128 plus the signal's number. */
  readonly untilSignal?: boolean;
}

/** An agent without containers: one scripted process, on a unix socket. */
export interface FakeAgent {
  readonly address: string;
  /** Names of the called methods, in order; consecutive reads and writes appear once. */
  readonly methods: readonly string[];
  /** The last request of each method. */
  readonly requests: ReadonlyMap<string, Message>;
  /** Closes every connection. */
  readonly hangUp: () => void;
  close(): Promise<void>;
}

export async function startFakeAgent(
  script: FakeProcess,
  changed: Handlers = {},
  management: Partial<ServiceImplementation<typeof Management, null>> = {},
  versions: { readonly grpcVersion: string; readonly agentVersion: string } = {
    grpcVersion: '0.0.1',
    agentVersion: '9.9',
  },
): Promise<FakeAgent> {
  const directory = await mkdtemp(join(tmpdir(), 'kata-ctl-'));
  const path = join(directory, 'agent.sock');
  const methods: string[] = [];
  const requests = new Map<string, Message>();
  const server = createTtrpcServer<null>({
    services: [
      service<typeof AgentService, null>(AgentService, { ...processHandlers(script), ...changed }),
      service<typeof Health, null>(Health, {
        check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
        version: async () => versions,
      }),
      service<typeof Management, null>(Management, management),
    ],
    interceptors: [
      async (request, context, next) => {
        if (methods.at(-1) !== context.method) methods.push(context.method);
        requests.set(context.method, request);
        return await next(request);
      },
    ],
  });
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    server.serve(socket, null);
  });
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  return {
    address: `unix://${path}`,
    methods,
    requests,
    hangUp: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      server.close();
      await new Promise((resolve) => listener.close(resolve));
      await rm(directory, { recursive: true });
    },
  };
}

function processHandlers(script: FakeProcess): Handlers {
  const outputs = {
    stdout: [...(script.stdout ?? [])].map((text) => Buffer.from(text)),
    stderr: [...(script.stderr ?? [])].map((text) => Buffer.from(text)),
  };
  let inputOpen = script.echo === true;
  let signal: number | undefined = script.untilSignal === true ? undefined : 0;
  const running = (): boolean => inputOpen || signal === undefined;
  const next = async (stream: 'stdout' | 'stderr', request: ReadStreamRequest, over: AbortSignal) => {
    while (outputs[stream].length === 0 && running() && !over.aborted) await turn();
    const piece = outputs[stream].shift() ?? Buffer.alloc(0);
    if (piece.length > request.len) outputs[stream].unshift(piece.subarray(request.len));
    const data = piece.subarray(0, request.len);
    return { data };
  };
  return {
    createSandbox: async () => ({}),
    destroySandbox: async () => ({}),
    createContainer: async () => ({}),
    startContainer: async () => ({}),
    execProcess: async () => ({}),
    removeContainer: async () => ({}),
    ttyWinResize: async () => ({}),
    readStdout: async (request, { signal: over }) => await next('stdout', request, over),
    readStderr: async (request, { signal: over }) => await next('stderr', request, over),
    writeStdin: async ({ data }) => {
      outputs.stdout.push(Buffer.from(data));
      return { len: data.length };
    },
    closeStdin: async () => {
      inputOpen = false;
      return {};
    },
    signalProcess: async (request) => {
      signal = request.signal;
      return {};
    },
    waitProcess: async (_request, { signal: over }) => {
      while (running() && !over.aborted) await turn();
      const status = signal === undefined || signal === 0 ? (script.status ?? 0) : 128 + signal;
      return { status };
    },
  };
}
