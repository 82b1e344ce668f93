import { type DescMethod, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AgentService } from '@kata-agent/protocol/agent';
import { Code, createServer, service, type ServiceImplementation } from '@kata-agent/ttrpc';

import { MemoryDuplex } from '../memory-duplex.js';
import { mutateBytes } from '../mutate.js';
import { randomMessage } from '../random-message.js';
import type { Target } from '../target.js';
import { cutFrames, encodeFrame, encodeRequest, messageType, responseCode } from '../wire.js';

const methods: readonly DescMethod[] = AgentService.methods;
/** Codes of a request that no handler received, or that a handler answered with an empty reply. */
const allowed: ReadonlySet<number> = new Set([Code.Ok, Code.InvalidArgument, Code.ResourceExhausted]);

let asker: Asker | undefined;

/** Requests of every type of the agent's API, with changes in a few places, through scan and decoder of a server. */
export const decode: Target = {
  name: 'decode',
  promise: 'an invalid request is rejected, and an accepted one is what protobuf decodes',
  async run(random) {
    const method = random.pick(methods);
    const whole = toBinary(method.input, randomMessage(random, method.input));
    const payload = random.once(8) ? whole : mutateBytes(random, whole);
    asker ??= new Asker();
    const code = await asker.ask(method.name, payload);
    if (!allowed.has(code)) throw new Error(`${method.name} was answered with code ${code}`);
    const readable = isReadable(method, payload);
    if (code === Code.Ok && !readable) throw new Error(`${method.name} accepted what protobuf cannot decode`);
    if (payload === whole && code !== Code.Ok)
      throw new Error(`${method.name}: a valid request was rejected: ${code}`);
  },
};

function isReadable(method: DescMethod, payload: Uint8Array): boolean {
  try {
    fromBinary(method.input, payload);
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** One connection to a server whose handlers return empty replies, called one at a time. */
class Asker {
  readonly #stream: MemoryDuplex;
  #answered: (code: number) => void = () => undefined;
  #streamId = 1;

  constructor() {
    const empty = Object.fromEntries(methods.map(({ localName }) => [localName, () => ({})]));
    const server = createServer<undefined>({
      services: [
        service(AgentService, empty as Partial<ServiceImplementation<typeof AgentService, undefined>>),
      ],
    });
    this.#stream = new MemoryDuplex(() => this.#hear());
    server.serve(this.#stream, undefined);
  }

  ask(method: string, payload: Uint8Array): Promise<number> {
    const data = encodeRequest(AgentService.typeName, method, payload);
    const frame = { streamId: this.#streamId, type: messageType.request, flags: 0, data };
    this.#streamId += 2;
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#stream.receive(encodeFrame(frame));
    });
  }

  #hear(): void {
    const { frames, rest } = cutFrames(Buffer.concat(this.#stream.heard.splice(0)));
    if (rest.length > 0) this.#stream.heard.push(rest);
    for (const { data } of frames) this.#answered(responseCode(data));
  }
}
