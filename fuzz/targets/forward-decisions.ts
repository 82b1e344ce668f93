import { clone } from '@bufbuild/protobuf';
import { requestSchema } from '@kata-agent/analysis';
import { fieldMutations, type Mutation } from '@kata-agent/tests/mutation/field-mutations';
import {
  decisions,
  isException,
  type Moment,
  moments,
  type Pod,
  pods,
} from '@kata-agent/tests/mutation/forward-decision';

import { Random } from '../random.js';

/** A request of a pod, with each change that one of its fields can have. */
interface Subject {
  readonly moment: Moment;
  readonly changes: readonly Mutation[];
}

/** Neighbouring seeds have the same request, whose changes take longer to list than to try. */
const seedsOfOneRequest = 1_000;

/** The most changes of one input. */
const maxChanges = 4;

let all: readonly Pod[] | undefined;
let current: { readonly number: number; readonly subject: Subject } | undefined;

/** Compares what this agent would decide with the guest, and in front of another one, about a request with a few changes. */
export function compareDecisions(random: Random): void {
  const { moment, changes } = subjectOf(Math.floor(random.seed / seedsOfOneRequest));
  const { method, request } = moment;
  const changed = clone(requestSchema(method), request);
  const made: string[] = [];
  for (let count = 1 + random.below(maxChanges); count > 0; count -= 1) {
    const mutation = random.pick(changes);
    try {
      mutation.apply(changed);
    } catch (error) {
      // An earlier change has removed the part that this one is of.
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      continue;
    }
    made.push(`${method} ${mutation.field} ${mutation.kind} ${mutation.detail}`);
  }
  const { here, forwarded } = decisions(method, changed, moment);
  if (here === undefined || forwarded !== undefined) return;
  if (made.some((change) => isException(change, here))) return;
  throw new Error(`${made.join(', ')} is forwarded, and refused with the guest: ${here}`);
}

function subjectOf(number: number): Subject {
  if (current?.number === number) return current.subject;
  all ??= pods();
  for (let attempt = 0; ; attempt += 1) {
    const random = new Random(number * 31 + attempt);
    // Each moment is taken in its place among the others of the pod, and none after it.
    const last = random.below(40);
    let moment: Moment | undefined;
    let index = 0;
    for (const each of moments(random.pick(all))) {
      moment = each;
      if (index === last || (each.method === 'CreateContainer' && random.once(3))) break;
      index += 1;
    }
    const changes =
      moment === undefined ? [] : [...fieldMutations(requestSchema(moment.method), moment.request)];
    if (moment === undefined || changes.length === 0) continue;
    const subject = { moment, changes };
    current = { number, subject };
    return subject;
  }
}
