import { create, type DescMethod } from '@bufbuild/protobuf';
import { AgentService } from '@kata-agent/protocol/agent';
import { Code, codeName, type Client, TtrpcError } from '@kata-agent/ttrpc';

type UnaryCall = (request: unknown, options: { readonly timeoutMs: number }) => Promise<unknown>;

/** The answer of a method: `OK` or the code's name, and the text. */
export interface Answer {
  readonly code: string;
  readonly message: string;
}

/**
 * Calls every method of AgentService with an empty request, in the order of the .proto file, except DestroySandbox,
 * which ends the agent and comes last. A call that waits for an event (GetOOMEvent) ends with DEADLINE_EXCEEDED after
 * 1.5 s, longer than the delay of a denied one.
 */
export async function callAllMethods(
  agent: Client<typeof AgentService>,
): Promise<ReadonlyMap<string, Answer>> {
  const methods = [...AgentService.methods].sort((a, b) => Number(isLast(a)) - Number(isLast(b)));
  const answers = new Map<string, Answer>();
  for (const method of methods) {
    const call = (agent as unknown as Readonly<Record<string, UnaryCall>>)[method.localName];
    if (call === undefined) throw new Error(`the client has no ${method.localName}`);
    answers.set(method.name, await answerOf(call(create(method.input), { timeoutMs: 1_500 })));
  }
  return answers;
}

function isLast(method: DescMethod): boolean {
  return method.name === 'DestroySandbox';
}

/** Returns the status of a call. */
export async function answerOf(call: Promise<unknown>): Promise<Answer> {
  try {
    await call;
    return { code: codeName(Code.Ok), message: '' };
  } catch (error) {
    if (error instanceof TtrpcError) return { code: codeName(error.code), message: error.message };
    throw error;
  }
}
