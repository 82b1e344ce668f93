export type { CallOptions, Channel, ChannelOptions } from './channel.js';
export { connect, createClient, type Client, type ClientMethod } from './client.js';
export { Code, codeName } from './code.js';
export type { Fault } from './fault.js';
export type {
  Admit,
  CallInfo,
  ClientCallInfo,
  ClientInterceptor,
  HandlerContext,
  Refusal,
  ServerInterceptor,
} from './interceptor.js';
export type { Limits } from './limits.js';
export type { Metadata, MetadataInit } from './metadata.js';
export { scan } from './scan.js';
export type { Connection } from './server-connection.js';
export { createServer, type Server, type ServerOptions } from './server.js';
export {
  service,
  type Handler,
  type MethodImplementation,
  type ServiceImplementation,
  type ServiceRegistration,
} from './service.js';
export { TtrpcError } from './ttrpc-error.js';
