// Replaces the service behind Kata's remote hypervisor, which is cloud-api-adaptor on a node with peer pods: its machines are
// agents in namespaces of this one.
import { once } from 'node:events';
import { createServer as listen, type Server as Listener } from 'node:net';
import { Code, createServer, type Server, service, TtrpcError } from '@kata-agent/ttrpc';
import { Hypervisor } from '../gen/hypervisor_pb.js';

/** A machine of a pod. */
export interface RemoteMachine {
  /** Where the shim connects to the agent. */
  readonly socket: string;
  /** Resolves when the agent can be called. */
  start(): Promise<void>;
  /** Ends the machine and everything in it. */
  stop(): Promise<void>;
}

/** A call of the shim. */
interface HypervisorCall {
  readonly method: 'CreateVM' | 'StartVM' | 'StopVM';
  readonly annotations?: Readonly<Record<string, string>>;
}

export class RemoteHypervisor {
  readonly socket: string;
  readonly calls: HypervisorCall[] = [];
  /** Makes the machine of a pod. */
  createMachine: (sandbox: string) => RemoteMachine = () => {
    throw new TtrpcError(Code.FailedPrecondition, 'no machine is expected');
  };
  readonly #machines = new Map<string, RemoteMachine>();
  readonly #listener: Listener;
  readonly #server: Server<undefined>;

  private constructor(socket: string) {
    this.socket = socket;
    this.#server = createServer<undefined>({ services: [this.#service()] });
    this.#listener = listen((client) => this.#server.serve(client, undefined)).listen(socket);
  }

  static async start(socket: string): Promise<RemoteHypervisor> {
    const hypervisor = new RemoteHypervisor(socket);
    await once(hypervisor.#listener, 'listening');
    return hypervisor;
  }

  /** The number of machines that StopVM has not ended. */
  get machines(): number {
    return this.#machines.size;
  }

  async stop(): Promise<void> {
    this.#listener.close();
    this.#server.close();
    for (const machine of this.#machines.values()) await machine.stop();
  }

  #service() {
    return service<typeof Hypervisor, undefined>(Hypervisor, {
      createVM: ({ id, annotations }) => {
        this.calls.push({ method: 'CreateVM', annotations });
        if (this.#machines.has(id)) throw new TtrpcError(Code.AlreadyExists, `machine ${id} exists`);
        const machine = this.createMachine(id);
        this.#machines.set(id, machine);
        return { agentSocketPath: machine.socket };
      },
      startVM: async ({ id }) => {
        this.calls.push({ method: 'StartVM' });
        await this.#machine(id).start();
        return {};
      },
      stopVM: async ({ id }) => {
        this.calls.push({ method: 'StopVM' });
        const machine = this.#machine(id);
        this.#machines.delete(id);
        await machine.stop();
        return {};
      },
      version: () => ({ version: '0.0.0' }),
    });
  }

  #machine(id: string): RemoteMachine {
    const machine = this.#machines.get(id);
    if (machine === undefined) throw new TtrpcError(Code.NotFound, `there is no machine ${id}`);
    return machine;
  }
}
