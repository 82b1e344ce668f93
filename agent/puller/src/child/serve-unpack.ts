import { createReadStream } from 'node:fs';
import { At, loadSyscalls, Open, type Syscalls } from '@kata-agent/linux';
import { Budget } from '../unpack/budget.js';
import { LayerError } from '../unpack/layer-error.js';
import { LayerTree } from '../unpack/layer-tree.js';
import { unpackLayer } from '../unpack/unpack-layer.js';
import { lineLength, type UnpackRequest, type UnpackResult } from './unpack-protocol.js';
import { filterCalls, openAgentSocket, readRequest } from './serve.js';

const progressInterval = 100;
/** While it waits for a layer. */
const waitingInterval = 1_000;

/** Filters system calls, then reads one request from the agent, performs it, and ends. */
export async function serveUnpack(agentSocket: number): Promise<void> {
  const syscalls = loadSyscalls();
  filterCalls(syscalls, { network: false });
  const { socket, send } = openAgentSocket(agentSocket);
  let layer: number | undefined;
  const fetched = new FetchedLayers();
  const beat = setInterval(
    () => send({ progress: { layer: layer ?? 0, bytes: 0, entries: 0 } }),
    waitingInterval,
  );
  try {
    const request = (await readRequest(socket, lineLength, fetched.add)) as UnpackRequest;
    const result = await unpack(syscalls, request, {
      fetched,
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
  clearInterval(beat);
  socket.end(() => process.exit());
}

/** Counts the layers whose blobs are complete. */
class FetchedLayers {
  #count = 0;
  #changed: () => void = () => undefined;

  readonly add = (): void => {
    this.#count += 1;
    this.#changed();
  };

  /** Resolves when the first layers are complete, `count` of them. */
  async first(count: number): Promise<void> {
    while (this.#count < count)
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
  }
}

async function unpack(
  syscalls: Syscalls,
  { layers, limits }: UnpackRequest,
  on: {
    readonly fetched: FetchedLayers;
    readonly begin: (layer: number) => void;
    readonly progress: (budget: Budget) => void;
  },
): Promise<UnpackResult> {
  const budget = new Budget(limits);
  const root = syscalls.openat(At.Cwd, '/target', Open.Path | Open.Directory);
  const tree = new LayerTree(syscalls, root, budget);
  const droppedAttributes: Record<string, number> = {};
  let reported = Number.NEGATIVE_INFINITY;
  for (const [index, layer] of layers.entries()) {
    await on.fetched.first(index + 1);
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
