import { isMessage, type Message } from '@bufbuild/protobuf';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type InProcessGuest, serveInProcess } from '@kata-agent/agent/in-process';
import { openAuditLog } from '@kata-agent/audit';
import { kataDirectory } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { claimedName } from '@kata-agent/gate';
import {
  AgentService,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  RemoveContainerRequestSchema,
  StartContainerRequestSchema,
} from '@kata-agent/protocol/agent';
import { type Channel, type Client, Code, connect, createClient, TtrpcError } from '@kata-agent/ttrpc';

type Status = InProcessGuest['sandboxStatus'];
type Member = Status['members'][number];

/** A container that was requested and does not run. */
interface IdleContainer {
  readonly request: CreateContainerRequest;
  state: 'created' | 'running';
}

/** Returns why the guest cannot create a container; undefined: it can. `containers`: ids of the existing ones. */
type CheckCreate = (request: CreateContainerRequest, containers: readonly string[]) => string | undefined;

/** The state of a guest without processes: it remembers what was created, for rules. */
class IdleGuest implements InProcessGuest {
  /** Set: a created container is not remembered, so that the same one can be requested again. */
  forgets = false;
  check: CheckCreate = () => undefined;
  #id = '';
  readonly #containers = new Map<string, IdleContainer>();
  readonly #removed: Member[] = [];

  perform(_method: string, request: Message): Readonly<Record<string, unknown>> {
    if (isMessage(request, CreateSandboxRequestSchema)) this.#id = request.sandboxId;
    else if (isMessage(request, CreateContainerRequestSchema)) this.#create(request);
    else if (isMessage(request, StartContainerRequestSchema)) {
      const started = this.#containers.get(request.containerId);
      if (started !== undefined) started.state = 'running';
    } else if (isMessage(request, RemoveContainerRequestSchema)) {
      const gone = this.#containers.get(request.containerId);
      if (gone !== undefined) this.#removed.push({ ...memberOf(gone), state: 'removed', exitCode: 0 });
      this.#containers.delete(request.containerId);
    }
    return {};
  }

  #create(request: CreateContainerRequest): void {
    const refusal = this.check(request, [...this.#containers.keys()]);
    if (refusal !== undefined) throw new TtrpcError(Code.InvalidArgument, refusal);
    if (!this.forgets) this.#containers.set(request.containerId, { request, state: 'created' });
  }

  containerStatus(id: string): ReturnType<InProcessGuest['containerStatus']> {
    const found = this.#containers.get(id);
    if (found === undefined) return undefined;
    const { state, mounts } = memberOf(found);
    return { state, mounts, annotations: annotationsOf(found) };
  }

  get sandboxStatus(): Status {
    return {
      id: this.#id,
      containers: [...this.#containers.keys()],
      members: [...[...this.#containers.values()].map(memberOf), ...this.#removed],
    };
  }

  noteReader(): void {}

  execDefaults(): undefined {
    return undefined;
  }
}

function annotationsOf({ request }: IdleContainer): Readonly<Record<string, string>> {
  return request.OCI?.Annotations ?? {};
}

function memberOf(container: IdleContainer): Member & { readonly state: IdleContainer['state'] } {
  const mounts = (container.request.OCI?.Mounts ?? []).filter(({ source }) =>
    source.startsWith(`${kataDirectory}/`),
  );
  return {
    name: claimedName(annotationsOf(container)),
    state: container.state,
    exitCode: undefined,
    mounts: mounts.map(({ destination, source }) => ({ destination, source })),
  };
}

/**
 * The agent's listener, gate, rules and audit log with a configuration, on a unix socket in this process. Its guest does nothing: it
 * needs neither root nor an OCI runtime.
 */
export class IdleAgent {
  readonly guest: IdleGuest;
  readonly channel: Channel;
  readonly agent: Client<typeof AgentService>;
  readonly #close: () => Promise<void>;

  private constructor(guest: IdleGuest, channel: Channel, close: () => Promise<void>) {
    this.guest = guest;
    this.channel = channel;
    this.agent = createClient(AgentService, channel);
    this.#close = close;
  }

  /** Serves the configuration's first listener, whatever its address is, and connects to it. */
  static async start(configuration: Configuration): Promise<IdleAgent> {
    const directory = mkdtempSync(join(tmpdir(), 'kata-idle-agent-'));
    const socketPath = join(directory, 'agent.sock');
    const [first, ...others] = configuration.listeners;
    if (first === undefined || others.length > 0) throw new Error('the configuration has not one listener');
    const guest = new IdleGuest();
    const audit = await openAuditLog({
      ...configuration.audit,
      file: join(directory, 'audit.log'),
      bootId: 'idle',
    });
    await audit.boot({});
    const server = await serveInProcess({
      configuration: { ...configuration, listeners: [{ ...first, address: `unix://${socketPath}` }] },
      guest,
      audit,
    });
    const socket = connectSocket(socketPath);
    await once(socket, 'connect');
    const channel = connect(socket);
    return new IdleAgent(guest, channel, async () => {
      channel.close();
      await server.close();
      await audit.close();
      rmSync(directory, { recursive: true });
    });
  }

  /** Ends it, and removes its directory. */
  close(): Promise<void> {
    return this.#close();
  }
}
