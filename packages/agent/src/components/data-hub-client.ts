import { type DataHub, GuestError, type SecureMount } from '@kata-agent/guest';
import { SealedSecretService, SecureMountService } from '@kata-agent/protocol/data_hub';
import { type CallOptions, type Channel, Code, connect, createClient, TtrpcError } from '@kata-agent/ttrpc';
import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { dataHubSocket } from './component.js';

export interface DataHubOptions {
  /** Deadline of each call except pulls, in ms. */
  readonly timeoutMs: number;
  /** Whether encrypted disks are protected against changes, too. */
  readonly integrity: boolean;
  /** Why the data hub cannot be used; undefined: it runs. */
  readonly unavailable: () => string | undefined;
}

/** A client of the guest's confidential data hub. A lost connection is opened again by the next call. */
export class DataHubClient implements DataHub {
  readonly #options: DataHubOptions;
  #channel: Promise<Channel> | undefined;

  constructor(options: DataHubOptions) {
    this.#options = options;
  }

  async unsealSecret(sealed: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { plaintext } = await this.#call('a sealed secret cannot be unsealed', signal, (channel, options) =>
      createClient(SealedSecretService, channel).unsealSecret({ secret: sealed }, options),
    );
    return plaintext;
  }

  async secureMount(
    { device, makeOptions, mountPoint }: SecureMount,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    // As Kata's agent asks for it (docs/coco-facts.md, "Secure storage").
    const options = {
      deviceId: device,
      sourceType: 'empty',
      targetType: 'fileSystem',
      filesystemType: 'ext4',
      mkfsOpts: makeOptions,
      encryptionType: 'luks2',
      dataIntegrity: String(this.#options.integrity),
    };
    const request = { volumeType: 'block-device', options, flags: [], mountPoint };
    await this.#call(`device ${device} cannot be mounted encrypted`, signal, (channel, callOptions) =>
      createClient(SecureMountService, channel).secureMount(request, callOptions),
    );
  }

  /** Closes the connection; calls in flight end. */
  async close(): Promise<void> {
    const channel = await this.#channel?.catch(() => undefined);
    channel?.close();
  }

  async #call<Reply>(
    what: string,
    signal: AbortSignal | undefined,
    run: (channel: Channel, options: CallOptions) => Promise<Reply>,
  ): Promise<Reply> {
    const { unavailable, timeoutMs } = this.#options;
    const why = unavailable();
    if (why !== undefined) throw new GuestError('precondition', `${what}: ${why}`);
    try {
      const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
      return await run(await this.#connected(), options);
    } catch (error) {
      throw failure(what, error, unavailable(), timeoutMs);
    }
  }

  async #connected(): Promise<Channel> {
    this.#channel ??= this.#connect();
    try {
      return await this.#channel;
    } catch (error) {
      this.#channel = undefined;
      throw error;
    }
  }

  async #connect(): Promise<Channel> {
    const socket = connectSocket(dataHubSocket);
    await once(socket, 'connect');
    const channel = connect(socket);
    void channel.closed.then(() => {
      this.#channel = undefined;
    });
    return channel;
  }
}

/** The data hub's own messages are about its key broker, and have nothing of a secret. */
function failure(what: string, error: unknown, ended: string | undefined, timeoutMs: number): unknown {
  if (ended !== undefined) return new GuestError('precondition', `${what}: ${ended}`, { cause: error });
  if (error instanceof TtrpcError) {
    if (error.code === Code.Canceled) return error;
    if (error.code === Code.DeadlineExceeded)
      return new GuestError(
        'deadline',
        `${what}: the confidential data hub has not answered for ${timeoutMs / 1000} s (cdh_api_timeout)`,
        { cause: error },
      );
    return new GuestError('precondition', `${what}: the confidential data hub: ${error.message}`, {
      cause: error,
    });
  }
  if (error instanceof Error && 'syscall' in error)
    return new GuestError('precondition', `${what}: ${dataHubSocket}: ${error.message}`, { cause: error });
  return error;
}
