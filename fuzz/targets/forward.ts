import { type DescMethod, equals, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { AgentService } from '@kata-agent/protocol/agent';
import { Code, connect, createServer, inspectedService, scan } from '@kata-agent/ttrpc';

import { MemoryDuplex } from '../memory-duplex.js';
import { mutateBytes } from '../mutate.js';
import { randomMessage } from '../random-message.js';
import type { Random } from '../random.js';
import type { Target } from '../target.js';
import { compareDecisions } from './forward-decisions.js';
import { cutFrames, encodeFrame, encodeRequest, messageType, requestPayload, responseCode } from '../wire.js';

const methods: readonly DescMethod[] = AgentService.methods;
const limits = { requestFields: 20_000, requestDepth: 100 };

/** One of this number of inputs compares decisions, which takes longer. */
const decisionsIn = 4;

let proxy: Proxy | undefined;

/** Requests of every type of the agent's API, in encodings that decoders could read differently, through a proxy that reads them. */
export const forward: Target = {
  name: 'forward',
  promise:
    'what a proxy sends is exactly what its interceptors saw, without unknown fields; and what this agent refuses with the guest is not forwarded',
  async run(random) {
    if (random.once(decisionsIn)) return compareDecisions(random);
    const method = random.pick(methods);
    const payload = disguised(random, method);
    proxy ??= new Proxy();
    const { code, seen, sent } = await proxy.ask(method.name, payload);
    if (code !== Code.Ok) {
      if (sent !== undefined) throw new Error(`${method.name}: a rejected request was sent`);
      return;
    }
    if (seen === undefined || sent === undefined) throw new Error(`${method.name}: answered by nobody`);
    scan(method.input, sent, limits, 'refuse');
    if (!equals(method.input, seen, fromBinary(method.input, sent)))
      throw new Error(`${method.name}: something else was sent than seen`);
    const again = toBinary(method.input, fromBinary(method.input, sent));
    if (again.length !== sent.length)
      throw new Error(`${method.name}: sent with ${sent.length - again.length} bytes more`);
  },
};

function disguised(random: Random, method: DescMethod): Uint8Array {
  const one = toBinary(method.input, randomMessage(random, method.input));
  switch (random.below(5)) {
    case 0:
      return one;
    case 1:
      return mutateBytes(random, one);
    case 2:
      return Buffer.concat([one, toBinary(method.input, randomMessage(random, method.input))]);
    case 3:
      return shuffled(random, one);
    default:
      return Buffer.concat([one, Buffer.from([0xfa, 0x3f, 0])]);
  }
}

/** Returns the fields in another order. */
function shuffled(random: Random, bytes: Uint8Array): Uint8Array {
  const fields = [...(fromBinary(EmptySchema, bytes).$unknown ?? [])];
  for (let at = fields.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    const [a, b] = [fields[at], fields[other]];
    if (a === undefined || b === undefined) continue;
    fields[at] = b;
    fields[other] = a;
  }
  const writer = new BinaryWriter();
  for (const { no, wireType, data } of fields) writer.tag(no, wireType).raw(data);
  return writer.finish();
}

interface Forwarded {
  readonly code: number;
  readonly seen: Message | undefined;
  readonly sent: Uint8Array | undefined;
}

/** A proxy between a caller and a server, both of them bytes; one call at a time. */
class Proxy {
  readonly #caller = new MemoryDuplex(() => this.#hearReply());
  readonly #server = new MemoryDuplex(() => this.#hearRequest());
  #answered: (code: number) => void = () => undefined;
  #seen: Message | undefined;
  #sent: Uint8Array | undefined;
  #streamId = 1;

  constructor() {
    const channel = connect(this.#server);
    createServer<undefined>({
      services: [inspectedService<undefined>(AgentService, async () => ({ channel }))],
      interceptors: [
        (request, _context, next) => {
          this.#seen = request;
          return next(request);
        },
      ],
    }).serve(this.#caller, undefined);
  }

  async ask(method: string, payload: Uint8Array): Promise<Forwarded> {
    this.#seen = undefined;
    this.#sent = undefined;
    const data = encodeRequest(AgentService.typeName, method, payload);
    const frame = { streamId: this.#streamId, type: messageType.request, flags: 0, data };
    this.#streamId += 2;
    const code = await new Promise<number>((resolve) => {
      this.#answered = resolve;
      this.#caller.receive(encodeFrame(frame));
    });
    return { code, seen: this.#seen, sent: this.#sent };
  }

  #hearRequest(): void {
    const { frames, rest } = cutFrames(Buffer.concat(this.#server.heard.splice(0)));
    if (rest.length > 0) this.#server.heard.push(rest);
    for (const { streamId, data } of frames) {
      this.#sent = requestPayload(data);
      const reply = { streamId, type: messageType.response, flags: 0, data: new Uint8Array() };
      this.#server.receive(encodeFrame(reply));
    }
  }

  #hearReply(): void {
    const { frames, rest } = cutFrames(Buffer.concat(this.#caller.heard.splice(0)));
    if (rest.length > 0) this.#caller.heard.push(rest);
    for (const { data } of frames) this.#answered(responseCode(data));
  }
}
