import { JsonFields } from '@kata-agent/base';
import { ImageError, quoted } from '../errors/image-error.js';
import type { Answer, Transport } from '../http/transport.js';
import { isLocalAddress } from '../http/local-addresses.js';
import type { Endpoint } from './endpoint.js';

const maxLength = 4_096;
const maxRedirects = 5;
const maxTokenBytes = 65_536;

interface GetOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Follows redirects, without credentials. */
  readonly follow?: boolean;
}

/**
 * Reads a repository at one endpoint. Sends credentials only to the endpoint itself and to the hosts that may issue tokens for it,
 * and nothing of them across a redirect.
 */
export class EndpointClient {
  readonly endpoint: Endpoint;
  readonly #transport: Pick<Transport, 'get'>;
  /** Of the last challenge: a registry without rules never asks. */
  #authorization: string | undefined;

  constructor(endpoint: Endpoint, transport: Pick<Transport, 'get'>) {
    this.endpoint = endpoint;
    this.#transport = transport;
  }

  /** The name for messages. */
  get name(): string {
    return `${this.endpoint.host}/${this.endpoint.repository}`;
  }

  /** Gets `/v2/REPOSITORY/…`. Returns an answer of status 200 or 206. Rejects with an ImageError for any other. */
  async get(path: string, options: GetOptions = {}): Promise<Answer> {
    const { headers = {}, follow = false } = options;
    const { host, repository } = this.endpoint;
    const url = new URL(`https://${host}/v2/${repository}/${path}`);
    const answer = await this.#authorized(url, headers);
    const last = isRedirect(answer) ? await this.#redirected(url, answer, headers, follow) : answer;
    if (last.status === 200 || last.status === 206) return last;
    last.discard();
    throw this.#failure(last.status, path);
  }

  async #authorized(url: URL, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const answer = await this.#send(url, headers);
    if (answer.status !== 401) return answer;
    const challenge = parseChallenges(answer.headers('www-authenticate'));
    answer.discard();
    this.#authorization = await this.#authorize(challenge);
    return this.#send(url, headers);
  }

  #send(url: URL, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const authorization = this.#authorization;
    return this.#transport.get(url, {
      ...headers,
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    });
  }

  async #redirected(
    from: URL,
    first: Answer,
    headers: Readonly<Record<string, string>>,
    follow: boolean,
  ): Promise<Answer> {
    let answer = first;
    let url = from;
    // A registry in the guest, or beside it, may have its blobs there, too.
    const elsewhere = first.address === undefined || !isLocalAddress(first.address);
    for (let count = 0; isRedirect(answer); count += 1) {
      answer.discard();
      if (!follow && this.endpoint.isOpen !== true)
        throw new ImageError('redirect-refused', `${this.name} redirects a request for a manifest`);
      if (count === maxRedirects)
        throw new ImageError('redirect-refused', `${this.name} redirects more than ${maxRedirects} times`);
      url = this.#location(answer.header('location'), url);
      answer = await this.#transport.get(url, headers, { elsewhere });
    }
    return answer;
  }

  #location(location: string | undefined, from: URL): URL {
    const url =
      location === undefined || !URL.canParse(location, from.href) ? undefined : new URL(location, from);
    if (url === undefined || url.protocol !== 'https:' || url.username !== '' || url.password !== '')
      throw new ImageError(
        'redirect-refused',
        `${this.name} redirects to an address that is not an https URL`,
      );
    return url;
  }

  async #authorize(challenge: Challenge | undefined): Promise<string> {
    const { credential } = this.endpoint;
    const basic =
      credential === undefined
        ? undefined
        : `Basic ${Buffer.from(`${credential.user}:${credential.password}`).toString('base64')}`;
    if (challenge === undefined)
      throw new ImageError('unauthorized', `${this.name} asks for neither Basic nor Bearer authentication`);
    if (challenge.scheme === 'bearer') return `Bearer ${await this.#token(challenge, basic)}`;
    if (basic === undefined)
      throw new ImageError(
        'unauthorized',
        `${this.name} asks for credentials, and there are none${this.endpoint.isMirror ? ' for a mirror' : ''}`,
      );
    return basic;
  }

  async #token(
    { realm, service }: Extract<Challenge, { scheme: 'bearer' }>,
    basic: string | undefined,
  ): Promise<string> {
    const { host, repository, tokenHosts, isOpen = false } = this.endpoint;
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    if (url === undefined || url.protocol !== 'https:' || url.username !== '' || url.password !== '')
      throw new ImageError(
        'token-host-not-listed',
        `${this.name} asks for a token of an address that is not an https URL`,
      );
    const isAnonymous = isOpen && basic === undefined;
    if (url.host !== host && !tokenHosts.includes(url.host) && !isAnonymous)
      throw new ImageError('token-host-not-listed', `${this.name} asks for a token of ${quoted(url.host)}`);
    // Ours, not the challenge's: a token for more than this repository is not needed.
    url.searchParams.set('scope', `repository:${repository}:pull`);
    if (service !== undefined) url.searchParams.set('service', service);
    const answer = await this.#transport.get(url, {
      Accept: 'application/json',
      ...(basic === undefined ? {} : { Authorization: basic }),
    });
    if (answer.status !== 200) {
      answer.discard();
      if (answer.status === 401 || answer.status === 403)
        throw new ImageError('unauthorized', `${url.host} answers ${answer.status} to a request for a token`);
      throw new ImageError(
        'registry-failed',
        `${url.host} answers ${answer.status} to a request for a token`,
      );
    }
    const what = `the token of ${url.host}`;
    const fields = JsonFields.parse(
      await answer.bytes(maxTokenBytes, what),
      what,
      (text) => new ImageError('answer-invalid', text),
    );
    const token = fields.optionalString('token') ?? fields.optionalString('access_token') ?? '';
    if (!/^[\x21-\x7e]{1,32768}$/.test(token)) throw new ImageError('answer-invalid', `${what} is malformed`);
    return token;
  }

  #failure(status: number, path: string): ImageError {
    const what = `${this.name}: ${path}`;
    if (status === 401 || status === 403)
      return new ImageError('unauthorized', `${what}: the server answers ${status}`);
    if (status === 404) return new ImageError('not-found', `${what}: not in the registry`);
    return new ImageError('registry-failed', `${what}: the server answers ${status}`);
  }
}

function isRedirect({ status }: Answer): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/** What a registry asks for in WWW-Authenticate. */
type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | undefined };

/** Reads the challenges of a 401 (RFC 9110, Section 11.6.1). Returns the first that is supported; bearer before basic. */
export function parseChallenges(values: readonly string[]): Challenge | undefined {
  const found = values.filter((value) => value.length <= maxLength).flatMap(challengesOf);
  return found.find(({ scheme }) => scheme === 'bearer') ?? found[0];
}

function challengesOf(value: string): readonly Challenge[] {
  // A scheme is a token before white space, or alone; a parameter has "=" after its name.
  const parts = value.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w-]+)/g);
  const schemes: { readonly name: string; readonly parameters: Map<string, string> }[] = [];
  for (const [, name, text, token, scheme] of parts) {
    if (scheme !== undefined) schemes.push({ name: scheme.toLowerCase(), parameters: new Map() });
    else if (name !== undefined)
      schemes.at(-1)?.parameters.set(name.toLowerCase(), text?.replaceAll(/\\(.)/g, '$1') ?? token ?? '');
  }
  return schemes.flatMap(({ name, parameters }): readonly Challenge[] => {
    if (name === 'basic') return [{ scheme: 'basic' }];
    const realm = parameters.get('realm');
    return name === 'bearer' && realm !== undefined
      ? [{ scheme: 'bearer', realm, service: parameters.get('service') }]
      : [];
  });
}
