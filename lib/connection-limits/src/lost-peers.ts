/**
 * Keep-alive of TCP, where nothing may be sent for hours: the kernel asks the other end of a silent connection after this time, ten
 * times within ten seconds.
 */
export const keepAliveMs = 30_000;

/**
 * Sent bytes that the other end does not acknowledge, or take, for this time end a connection. Keep-alive does not act
 * meanwhile, and the kernel alone would try for about 15 minutes. A little longer than keep-alive needs for a silent connection.
 */
export const unacknowledgedMs = 45_000;
