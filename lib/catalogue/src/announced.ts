/** A method that Kata's developers have announced. No release has it, and this agent does not serve it. */
interface AnnouncedMethod {
  readonly purpose: string;
  /** Where it was announced. */
  readonly announced: string;
  readonly exposure: string;
  /** What a runtime calls instead, or what its pods go without. */
  readonly without: string;
}

/** Announced methods, by name. None has a row in the endpoints: no list and no group includes it. */
export const announcedMethods: ReadonlyMap<string, AnnouncedMethod> = new Map([
  [
    'RebindSandbox',
    {
      purpose:
        'Gives a guest that was restored from a checkpoint of a whole pod (KEP-5823) new identities: the id of the sandbox, those of its containers, hostname, name servers, hosts files, processes and limits. runtime-rs then reseeds the random numbers, sets the time, and waits for each process on a new connection.',
      announced:
        'Pull request 13654 and issue 13653 of kata-containers/kata-containers, read on 2026-11-30; in no release up to 4.1.0.',
      exposure:
        'The host would rename containers whose ids are in rules and records, and replace processes, limits and files that were authorized when the containers were created.',
      without: 'A pod is not restored from a checkpoint: it is created anew.',
    },
  ],
]);
