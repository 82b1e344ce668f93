export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type GuestLog = (level: LogLevel, message: string, extras?: Readonly<Record<string, string>>) => void;
