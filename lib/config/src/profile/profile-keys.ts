/** The keys of `[api]` about a profile. */
export const profileKeys = ['profile', 'profile_except', 'values'] as const;
