import { dataHubSocket } from '@kata-agent/catalogue';
import {
  type DataHub,
  GuestError,
  type ImagePuller,
  type PulledImage,
  type PullRequest,
  type SecureMount,
  type SharedStoreUse,
} from '@kata-agent/guest';
import {
  GetResourceService,
  ImagePullService,
  SealedSecretService,
  SecureMountService,
} from '@kata-agent/protocol/data_hub';
import { type CallOptions, type Channel, Code, connect, createClient, TtrpcError } from '@kata-agent/ttrpc';
import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { withoutEscapes } from './component-lines.js';
import type { ResourceSource } from './load-guest-components.js';

/** Longest sentence. */
const maxLength = 300;

/** A longer word can be a key, a token or a part of a secret. Paths, URLs and names of images are shorter. */
const maxWord = 72;

export interface DataHubOptions {
  /** Deadline of each call except pulls, in ms. */
  readonly timeoutMs: number;
  /** Deadline of a pull, in ms. */
  readonly pullTimeoutMs: number;
  /** Whether encrypted disks are protected against changes, too. */
  readonly integrity: boolean;
  /** Whether the images that it pulls belong on an encrypted disk; undefined: no. */
  readonly sharedStore: SharedStoreUse | undefined;
  /** Why the data hub cannot be used; undefined: it runs. */
  readonly unavailable: () => string | undefined;
}

/** A client of the guest's confidential data hub. A lost connection is opened again by the next call. */
export class DataHubClient implements DataHub, ImagePuller, ResourceSource {
  readonly #options: DataHubOptions;
  readonly sharedStore: SharedStoreUse | undefined;
  #channel: Promise<Channel> | undefined;

  constructor(options: DataHubOptions) {
    this.#options = options;
    this.sharedStore = options.sharedStore;
  }

  async unsealSecret(sealed: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { plaintext } = await this.#call('a sealed secret cannot be unsealed', signal, (channel, options) =>
      createClient(SealedSecretService, channel).unsealSecret({ secret: sealed }, options),
    );
    return plaintext;
  }

  async resource(name: string, signal: AbortSignal): Promise<Uint8Array> {
    const request = { ResourcePath: name };
    const { Resource } = await this.#call(
      `the resource ${name} is not available`,
      signal,
      (channel, options) => createClient(GetResourceService, channel).getResource(request, options),
    );
    return Resource;
  }

  async secureMount(
    { device, makeOptions, mountPoint }: SecureMount,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    // As Kata's agent asks for it (docs/records/coco-facts.md, "Secure storage").
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

  /** Which images it pulls, and how they are verified, is the data hub's own policy. */
  async pull({ reference, directory, signal }: PullRequest): Promise<PulledImage> {
    const request = { imageUrl: reference, bundlePath: directory };
    const { manifestDigest } = await this.#call(
      `image ${JSON.stringify(reference.slice(0, 256))} cannot be pulled`,
      signal,
      (channel, options) => createClient(ImagePullService, channel).pullImage(request, options),
      { setting: 'image_pull_timeout', ms: this.#options.pullTimeoutMs },
    );
    return {
      reference,
      // Of a tag for several platforms it is another than the index's, so that it is not what the reference names.
      digest: undefined,
      manifestDigest: digestOf(manifestDigest),
      config: undefined,
    };
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
    timeout: Timeout = { setting: 'cdh_api_timeout', ms: this.#options.timeoutMs },
  ): Promise<Reply> {
    const { unavailable } = this.#options;
    const why = unavailable();
    if (why !== undefined) throw new GuestError('precondition', `${what}: ${why}`);
    try {
      const options = { timeoutMs: timeout.ms, ...(signal === undefined ? {} : { signal }) };
      return await run(await this.#connected(), options);
    } catch (error) {
      throw failure({ what, error, ended: unavailable(), timeout, signal });
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

interface Timeout {
  /** The setting that has it. */
  readonly setting: string;
  readonly ms: number;
}

/** The caller of the method gets one sentence of the data hub's message, which can quote what it read. */
function failure({
  what,
  error,
  ended,
  timeout,
  signal,
}: {
  readonly what: string;
  readonly error: unknown;
  readonly ended: string | undefined;
  readonly timeout: Timeout;
  readonly signal: AbortSignal | undefined;
}): unknown {
  if (signal?.aborted === true) return signal.reason;
  const failed = (kind: 'precondition' | 'deadline', why: string): GuestError =>
    new GuestError(kind, `${what}: ${why}`, { cause: error });
  if (ended !== undefined) return failed('precondition', ended);
  if (error instanceof TtrpcError && error.code === Code.DeadlineExceeded)
    return failed(
      'deadline',
      `the confidential data hub has not answered for ${timeout.ms / 1000} s (${timeout.setting})`,
    );
  if (error instanceof TtrpcError)
    return failed('precondition', `the confidential data hub: ${componentError(error.message)}`);
  if (error instanceof Error && 'syscall' in error)
    return failed('precondition', `${dataHubSocket}: ${error.message}`);
  return error;
}

/** Older data hubs return no digest. */
function digestOf(text: string): string | undefined {
  return /^sha256:[0-9a-f]{64}$/.test(text) ? text : undefined;
}

/**
 * Returns the error of a guest component as one sentence: what failed, and the cause that the component names last. Its
 * error is a chain of causes, with the JSON of a registry or a key broker in it, and can quote what it read. The caller of
 * a method is the host, so that text in quotation marks, JSON and long words are left out (S40); the component's own lines
 * in the agent log have all.
 */
export function componentError(text: string): string {
  const plain = withoutJson(withoutEscapes(text))
    .replace(/\[(?:CDH|AA|ERROR|INFO|WARN)[^\]]*\]\s*:?/gi, ' ')
    .replace(/"(?:[^"\\]|\\[^])*(?:"|$)|\u201c[^\u201d]*\u201d|`[^`]*`|(?<=[\s:(=])'[^']*'/g, '…')
    .replace(/\/\/[^/@\s]*@/g, '//…@')
    .replace(/\?\S*/g, '');
  const causes = plain
    .split(/\s*(?:\n\s*)+|\s*Caused by:\s*|:\s+/i)
    .map((part) => sentence(part))
    .filter((part) => /[a-z]{2}/i.test(part) && !/^(?:error|rpc status)$/i.test(part));
  const [first = '', last = first] = [causes[0], causes.at(-1)];
  const both = first === last ? first : `${first}: ${last}`;
  return both === '' ? 'an error without a text' : both.slice(0, maxLength);
}

/** Removes numbers of a list of causes, punctuation at the ends, and words that say nothing to a reader. */
function sentence(part: string): string {
  return part
    .replace(/^\s*\d+\s*[:.]\s*/, '')
    .split(/\s+/)
    .map((word) => (isPlain(word) ? word : '…'))
    .join(' ')
    .replace(/(?:\u2026\s*)+/g, '… ')
    .replace(/^[\s,;.:=-]+|[\s,;.:=-]+$/g, '');
}

/** Base64 has capital and small letters and digits in one long word. */
function isPlain(word: string): boolean {
  if (word.length > maxWord) return false;
  return (
    word.length < 20 || /[/.:]/.test(word) || !(/[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word))
  );
}

/** Replaces JSON by the first message in it that is plain words, as that of a registry's error. */
function withoutJson(text: string): string {
  let result = '';
  let depth = 0;
  let begin = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (isQuoted) {
      // A brace in a string ends no object, and an escaped quotation mark no string.
      if (character === '\\') index += 1;
      else if (character === '"') isQuoted = false;
    } else if (depth > 0 && character === '"') isQuoted = true;
    else if (character === '{') {
      if (depth === 0) begin = index;
      depth += 1;
    } else if (character === '}' && depth > 0) {
      depth -= 1;
      if (depth === 0) result += messageIn(text.slice(begin, index + 1));
    } else if (depth === 0) result += character;
  }
  return result;
}

function messageIn(json: string): string {
  const message = /"message"\s*:\s*"([A-Za-z][A-Za-z ,.-]{2,79})"/.exec(json)?.[1];
  return message === undefined ? ' … ' : ` ${message} `;
}
