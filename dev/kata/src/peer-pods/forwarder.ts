// Replaces the agent-protocol-forwarder of cloud-api-adaptor, and records the calls that the shim sent.
import { once } from 'node:events';
import { connect as dial, createServer as listen, type Server as Listener } from 'node:net';
import { clone, create, isMessage, type Message } from '@bufbuild/protobuf';
import {
  AgentService,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
} from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { LinuxNamespaceSchema } from '@kata-agent/protocol/oci';
import { type Channel, connect, createServer, inspectedService, type Server } from '@kata-agent/ttrpc';

const methods = new Map([...AgentService.methods, ...Health.methods].map((each) => [each.name, each]));

/** A call as the shim sent it. */
export interface RecordedCall {
  readonly method: string;
  readonly request: Message;
}

/**
 * Passes the calls of the shim on to the agent. As the agent-protocol-forwarder does, it appends a network namespace to each
 * container and removes `dns` of the sandbox (src/agent-protocol-forwarder of cloud-api-adaptor).
 */
export class Forwarder {
  readonly socket: string;
  readonly calls: RecordedCall[] = [];
  readonly #agentSocket: string;
  readonly #namespace: string;
  readonly #server: Server<Channel>;
  #listener: Listener | undefined;

  constructor(socket: string, agentSocket: string, namespace: string) {
    this.socket = socket;
    this.#agentSocket = agentSocket;
    this.#namespace = namespace;
    const route = ({ connection }: { readonly connection: Channel }) =>
      Promise.resolve({ channel: connection });
    this.#server = createServer<Channel>({
      services: [inspectedService<Channel>(AgentService, route), inspectedService<Channel>(Health, route)],
      interceptors: [
        (request, { method }, next) => {
          const input = methods.get(method)?.input;
          if (input !== undefined) this.calls.push({ method, request: clone(input, request) });
          this.#change(request);
          return next(request);
        },
      ],
    });
  }

  async listen(): Promise<void> {
    this.#listener = listen((shim) => {
      const channel = connect(dial(this.#agentSocket));
      shim.on('close', () => channel.close());
      this.#server.serve(shim, channel);
    }).listen(this.socket);
    await once(this.#listener, 'listening');
  }

  stop(): void {
    this.#listener?.close();
    this.#server.close();
  }

  #change(request: Message): void {
    if (isMessage(request, CreateSandboxRequestSchema)) request.dns = [];
    if (isMessage(request, CreateContainerRequestSchema))
      request.OCI?.Linux?.Namespaces.push(
        create(LinuxNamespaceSchema, { Type: 'network', Path: this.#namespace }),
      );
  }
}
