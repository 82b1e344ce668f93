/** The keys of `[api]` about a profile, each with its purpose. */
export const profileKeys = {
  profile: 'A profile of the agent, whose rules are in force with the values below, by its digest.',
  profile_except: 'Rules of the profile that are not in force.',
  values: 'The values of the pod.',
} as const;
