import { type MethodName, methodNames } from '@kata-agent/catalogue';

/** The requests whose names do not follow from the method: agent.proto, and Kata's policies name requests. */
const irregular: ReadonlyMap<MethodName, string> = new Map([
  ['WriteStdin', 'WriteStreamRequest'],
  ['ReadStdout', 'ReadStreamRequest'],
  ['ReadStderr', 'ReadStreamRequest'],
  ['GetGuestDetails', 'GuestDetailsRequest'],
  ['GetVolumeStats', 'VolumeStatsRequest'],
  ['MemAgentMemcgSet', 'MemAgentMemcgConfig'],
  ['MemAgentCompactSet', 'MemAgentCompactConfig'],
]);

/** The methods that take a request, by the request's name: what Kata's policies and its former `[endpoints]` say. */
export const methodsOfRequest: ReadonlyMap<string, readonly MethodName[]> = byRequest();

function byRequest(): Map<string, readonly MethodName[]> {
  const methods = new Map<string, readonly MethodName[]>();
  for (const method of methodNames) {
    const request = irregular.get(method) ?? `${method}Request`;
    methods.set(request, [...(methods.get(request) ?? []), method]);
  }
  return methods;
}
