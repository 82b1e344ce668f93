/** PATH of the programs that the guest starts: nothing of the agent's own environment reaches them. */
export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
