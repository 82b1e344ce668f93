import type { Message } from '@bufbuild/protobuf';
import { ImageProcess } from '../entrypoint/image-process.js';
import { asksForPull } from '../facts/asks-for-pull.js';
import type { RuleContext } from '../rule-context.js';
import { privilegesOf } from '../privileged/privileges-of.js';
import { describePrivileges } from '../privileged/refuse-privileged.js';
import type { Value } from './language/value.js';
import { imageProcessName } from './names/image-process-name.js';
import type { RuleName } from './names/rule-name.js';

/** The values of names for one call, each computed once for all rules. */
export class CallValues {
  readonly #request: Message;
  readonly #context: RuleContext;
  readonly #known = new Map<string, Value>();

  constructor(request: Message, context: RuleContext) {
    this.#request = request;
    this.#context = context;
  }

  /** Reports whether the guest is to get the image of the container, and does not have it yet. */
  get imageIsPending(): boolean {
    return this.#context.image === undefined && asksForPull(this.#request);
  }

  /** Returns ` (capabilities (CAP_SYS_ADMIN))`; empty when the request is not privileged. */
  privileges(): string {
    const found = privilegesOf(this.#request, this.#context.access);
    return found.length === 0 ? '' : ` (${describePrivileges(found)})`;
  }

  /** Returns ` (args[0] differs)`; empty if the last rule did not compare the process with its image, or found no difference. */
  imageDifference(): string {
    const difference = this.#imageProcess?.difference;
    return difference === undefined ? '' : ` (${difference})`;
  }

  /** Forgets the difference: another rule is evaluated. */
  forgetDifference(): void {
    this.#imageProcess?.forget();
  }

  get #imageProcess(): ImageProcess | undefined {
    const known = this.#known.get(imageProcessName.name);
    return known instanceof ImageProcess ? known : undefined;
  }

  /** @throws RuleError */
  get(name: RuleName): Value {
    const known = this.#known.get(name.name);
    if (known !== undefined) return known;
    const value = name.read(this.#request, this.#context);
    this.#known.set(name.name, value);
    return value;
  }
}
