import { isMessage, type Message } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { RuleContext } from '../rule-context.js';
import { entrypointDifference, type EntrypointOptions } from './entrypoint-difference.js';

/** The process of a call, compared with what the image of its container declares. */
export class ImageProcess {
  readonly #request: Message;
  readonly #image: RuleContext['image'];
  #difference: string | undefined;

  constructor(request: Message, { image }: Pick<RuleContext, 'image'>) {
    this.#request = request;
    this.#image = image;
  }

  /** Why the last comparison was false. */
  get difference(): string | undefined {
    return this.#difference;
  }

  /** An upper bound of the comparisons of paths and variables. */
  get size(): number {
    const { files, directories, mounts, replaced } = this.#image?.program ?? noProgram;
    const paths = (files.length + 2 * directories.length) * (mounts.length + replaced.length);
    const process = isMessage(this.#request, CreateContainerRequestSchema)
      ? this.#request.OCI?.Process
      : undefined;
    return paths + (process?.Args.length ?? 0) + (process?.Env.length ?? 0);
  }

  /** Forgets the last comparison: another rule is evaluated. */
  forget(): void {
    this.#difference = undefined;
  }

  isDeclared(options: EntrypointOptions): boolean {
    this.#difference = isMessage(this.#request, CreateContainerRequestSchema)
      ? entrypointDifference(this.#request, this.#image ?? {}, options)
      : 'the request creates no container';
    return this.#difference === undefined;
  }
}

const noProgram = { files: [], directories: [], mounts: [], replaced: [] };
