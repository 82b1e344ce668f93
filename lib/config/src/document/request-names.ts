import { type MethodName, methodNames } from '@kata-agent/catalogue';

/** Requests whose names do not follow from the method in agent.proto. Kata's policies use request names. */
const irregular: ReadonlyMap<MethodName, string> = new Map([
  ['WriteStdin', 'WriteStreamRequest'],
  ['ReadStdout', 'ReadStreamRequest'],
  ['ReadStderr', 'ReadStreamRequest'],
  ['GetGuestDetails', 'GuestDetailsRequest'],
  ['GetVolumeStats', 'VolumeStatsRequest'],
  ['MemAgentMemcgSet', 'MemAgentMemcgConfig'],
  ['MemAgentCompactSet', 'MemAgentCompactConfig'],
]);

/** The methods that take a request, by the request's name, as used in Kata's policies and its former `[endpoints]`. */
export const methodsOfRequest: ReadonlyMap<string, readonly MethodName[]> = byRequest();

function byRequest(): Map<string, readonly MethodName[]> {
  const methods = new Map<string, readonly MethodName[]>();
  for (const method of methodNames) {
    const request = irregular.get(method) ?? `${method}Request`;
    methods.set(request, [...(methods.get(request) ?? []), method]);
  }
  return methods;
}
