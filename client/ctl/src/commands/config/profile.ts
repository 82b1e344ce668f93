import { type Profile, profiles, ruleNameOf } from '@kata-agent/catalogue/profiles';
import { profileDigest, profileName } from '@kata-agent/config';
import { type CommandDefinition, CommandError, ExitCode, print } from '@kata-agent/cli';

export const configProfile: CommandDefinition = {
  path: 'config profile',
  summary: 'print the rules of a profile, which documents name by its digest, or list the profiles',
  details: [
    'A profile has the rules for what a runtime and an engine send for any pod. It lives in the agent; a document names it with profile in [api], and gives the values of its pod. docs/reference/profiles.md has them all.',
    'Takes a name, or what a document has: NAME@sha256:DIGEST. Exit code 4: this version has another profile of that name.',
  ],
  operands: [
    { syntax: '[profile]', description: 'a name, or NAME@sha256:DIGEST; without it, all are listed' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config profile rs-shared-1',
      description: 'The rules of pods of runtime-rs with a shared filesystem.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const [wanted] = invocation.operands;
    if (wanted === undefined) {
      const all = [...profiles.values()].map((profile) => ({
        profile: profileName(profile),
        purpose: profile.purpose,
        rules: profile.rules.length,
      }));
      await print(invocation, all, () =>
        all.map(({ profile, purpose }) => `${profile}\n  ${purpose}\n`).join(''),
      );
      return ExitCode.Success;
    }
    const [name = '', digest] = wanted.split('@sha256:');
    const profile = profiles.get(name);
    if (profile === undefined)
      throw new CommandError(ExitCode.Failed, `there is no profile "${name}"`, {
        help: [`this version has ${[...profiles.keys()].join(', ')}`],
      });
    if (digest !== undefined && digest !== profileDigest(profile))
      throw new CommandError(
        ExitCode.Mismatch,
        `the profile "${name}" of this version has another digest: ${profileName(profile)}`,
        { help: ['print it with the version that the document was generated for'] },
      );
    await print(invocation, { ...profile, reference: profileName(profile) }, () => profileText(profile));
    return ExitCode.Success;
  },
};

/** Returns the rules as a document would have them. */
function profileText(profile: Profile): string {
  return [
    `# ${profileName(profile)}\n# For ${profile.purpose}.\n`,
    ...profile.rules.map(
      (rule) =>
        `# ${rule.description}\n[[api.rule]]\nname = "${ruleNameOf(rule)}"\nendpoints = ["${rule.method}"]\n` +
        `expression = '''\n${rule.expression}\n'''\nmessage = "${rule.message}"\n`,
    ),
  ].join('\n');
}
