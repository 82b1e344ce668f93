import { createReadStream } from 'node:fs';
import { At, loadSyscalls, Open, type Syscalls } from '@kata-agent/linux';
import { Budget } from '../unpack/budget.js';
import { LayerError } from '../unpack/layer-error.js';
import { LayerTree } from '../unpack/layer-tree.js';
import { unpackLayer } from '../unpack/unpack-layer.js';
import { lineLength, type UnpackRequest, type UnpackResult } from './unpack-protocol.js';
import { filterCalls, openAgentSocket, readRequest } from './serve.js';

const progressInterval = 100;

/** Filters system calls, then reads one request from the agent, performs it, and ends. */
export async function serveUnpack(agentSocket: number): Promise<void> {
  const syscalls = loadSyscalls();
  filterCalls(syscalls, { network: false });
  const { socket, send } = openAgentSocket(agentSocket);
  let layer: number | undefined;
  try {
    const request = (await readRequest(socket, lineLength)) as UnpackRequest;
    const result = await unpack(syscalls, request, {
      begin: (index) => {
        layer = index;
      },
      progress: (budget) => send({ progress: { layer, bytes: budget.bytes, entries: budget.entries } }),
    });
    send({ result });
  } catch (error) {
    const code = error instanceof LayerError ? error.code : 'child';
    send({ error: { code, message: error instanceof Error ? error.message : String(error), layer } });
    process.exitCode = 1;
  }
  socket.end(() => process.exit());
}

async function unpack(
  syscalls: Syscalls,
  { layers, limits }: UnpackRequest,
  on: { readonly begin: (layer: number) => void; readonly progress: (budget: Budget) => void },
): Promise<UnpackResult> {
  const budget = new Budget(limits);
  const root = syscalls.openat(At.Cwd, '/target', Open.Path | Open.Directory);
  const tree = new LayerTree(syscalls, root, budget);
  const droppedAttributes: Record<string, number> = {};
  let reported = Number.NEGATIVE_INFINITY;
  for (const [index, layer] of layers.entries()) {
    on.begin(index);
    const source = createReadStream(`/blobs/${layer.file}`, { highWaterMark: 256 * 1024 });
    const report = (): void => {
      const now = performance.now();
      if (now - reported < progressInterval) return;
      reported = now;
      on.progress(budget);
    };
    const done = await unpackLayer(tree, layer, source, budget, report);
    for (const [name, count] of done.droppedAttributes)
      droppedAttributes[name] = (droppedAttributes[name] ?? 0) + count;
  }
  tree.close();
  return {
    entries: budget.entries,
    files: budget.files,
    bytes: budget.bytes,
    milliseconds: budget.milliseconds,
    peakMemory: process.resourceUsage().maxRSS * 1024,
    droppedAttributes,
  };
}
